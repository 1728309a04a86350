"""What crosses the network between a run and a teacher's server: records as msgpack, media by content hash.

Both sides share it, so that neither can change it alone. Leaves out HTTP itself: serving/ answers, teachers/remote.py
asks.
"""

PROTOCOL = 1  # raised whenever an older side would misread what a newer one sends
SCORE, GENERATE = "/score", "/generate"
INFO, VOCABULARY, HEALTH, METRICS = "/info", "/vocabulary", "/health", "/metrics"
DEADLINE_HEADER = "x-uniopd-mm-seconds"  # how long the client still waits for the answer
CONTENT_TYPE = "application/msgpack"

"""The messages between a run and a teacher's server: records as msgpack, media named by a hash of their content.

Client and server share this code, so neither can change the protocol alone. Leaves out HTTP itself: serving/ is the
server, teachers/remote.py the client.
"""

PROTOCOL = 3  # raised whenever an older version would misread a newer one
SCORE, GENERATE = "/score", "/generate"
INFO, VOCABULARY, HEALTH, METRICS = "/info", "/vocabulary", "/health", "/metrics"
DEADLINE_HEADER = "x-uniopd-mm-seconds"  # how much longer the client waits for the reply
CONTENT_TYPE = "application/msgpack"

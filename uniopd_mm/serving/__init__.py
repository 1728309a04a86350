"""A teacher's server: HTTP in front of one engine. Leaves out the engine and the client (teachers/remote.py)."""

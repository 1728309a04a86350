"""A teacher's server: HTTP in front of one engine. Leaves out the engine itself, and who asks (teachers/remote.py)."""

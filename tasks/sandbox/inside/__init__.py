"""What runs in the sandbox's own process: the standard library only, on Linux, Python 3.11 or later."""

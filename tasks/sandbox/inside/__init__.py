"""The code that runs in the sandbox's own process. Imports only the standard library; Linux, Python 3.11 or later."""

"""A worker of a sweep without a model, so that it starts at once: what it does is what STUB in its environment says.

STUB=talks python -m worker_stub FD PID
"""

import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection


def main() -> None:
    connection, behaviour = Connection(int(sys.argv[1])), os.environ["STUB"]
    if behaviour == "dies and leaves a child":  # which holds the connection open
        child = subprocess.Popen(["sleep", "600"], pass_fds=[connection.fileno()])
        connection.send(child.pid)
        os._exit(3)
    if behaviour == "talks":
        while True:
            connection.send("still here")
            time.sleep(0.01)
    time.sleep(600)


if __name__ == "__main__":
    main()

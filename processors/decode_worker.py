"""The process that decodes videos for `decode_pool`: `python -m uniopd_mm.processors.decode_worker MEMORY STALL TOTAL`.

Requests come on stdin, replies go to stdout. Each is one line of JSON, followed by `num_bytes` bytes if it has that
key:

    {"open": path or null, "in_order": bool, "threads": int, "num_bytes": n} + the file, if there is no path
        -> {"rate": 1/s, "height": h, "width": w, "num_bytes": n} + f64[times]
    {"read": [numbers], and to scale the frames "upright": [h, w], "sideways": [h, w]}
        -> any number of {"shape": [n, h, w, 3], "num_bytes": n} + u8[n, h, w, 3], then {}
    either -> {"bad": reason} or {"recount": true}

Each reply also says whether it is the `last` to its request, and how much `memory` the process holds.
A decoder that hangs or takes too much memory ends the process: the kernel's alarm does not wait for Python.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from uniopd_mm.processors.frames import RecountError, UnreadableError, VideoFile

Reply = tuple[Mapping[str, Any], bytes | memoryview]
RENEWAL_SECONDS = 1.0


def main() -> None:
    memory, stall, total = (float(text) for text in sys.argv[1:])
    limit_memory(int(memory))
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints must not get between the replies
    video: VideoFile | None = None
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["num_bytes"]) if "num_bytes" in request else b""
        alive = alarm(stall, total)
        try:
            if "open" in request:
                video = None
                video = opened(request, content, alive)
                send(replies, *described(video))
            else:
                assert video is not None
                for reply in parts(video, request):
                    send(replies, *reply)
                send(replies, {})
        except UnreadableError as error:
            send(replies, {"bad": str(error)})
        except MemoryError:
            send(replies, {"bad": f"decoding it takes more than {memory / 2**30:.3g} GiB of memory"})
        except RecountError:
            send(replies, {"recount": True})
        signal.setitimer(signal.ITIMER_REAL, 0)


def limit_memory(num_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, num_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def alarm(stall: float, total: float) -> Callable[[], None]:
    """Ends this process after `stall` seconds without a call of what is returned, or after `total` seconds."""
    start = renewed = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, min(stall, total))

    def alive() -> None:
        nonlocal renewed
        now = time.monotonic()
        if now - renewed >= min(RENEWAL_SECONDS, stall / 4):
            renewed = now
            signal.setitimer(signal.ITIMER_REAL, max(min(stall, start + total - now), 1e-3))

    return alive


def opened(request: Mapping[str, Any], content: bytes, alive: Callable[[], None]) -> VideoFile:
    path = request["open"]
    return VideoFile(
        content if path is None else path, in_order=request["in_order"], threads=request["threads"], alive=alive
    )


def described(video: VideoFile) -> Reply:
    return {"rate": video.rate, "height": video.height, "width": video.width}, video.times.tobytes()


def parts(video: VideoFile, request: Mapping[str, Any]) -> Iterator[Reply]:
    sizes = [tuple(request[key]) if key in request else None for key in ("upright", "sideways")]
    for frames in video.read(request["read"], *sizes):
        yield {"shape": frames.shape}, frames.data


def send(replies: BinaryIO, header: Mapping[str, Any], content: bytes | memoryview = b"") -> None:
    state = {
        "num_bytes": memoryview(content).nbytes,
        "last": "shape" not in header,
        "memory": resident_bytes(),
    }
    replies.write(json.dumps({**header, **state}).encode() + b"\n")
    replies.write(content)
    replies.flush()


def resident_bytes() -> int:
    # `getrusage` also counts the memory of the process that started this one.
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()

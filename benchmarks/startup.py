"""How long a command takes to answer: `--help`, `--cfg job`, and command lines that are refused.

    python benchmarks/startup.py

Every command line runs in a process of its own, several times; the table has the medians and the worst of them in
seconds. Run it on a quiet machine. Leaves out what a run does after its command line is accepted.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 5
LINES = {
    "train --help": 2.5,
    "train --cfg job": 2.5,
    "train seeed=3": 4.0,
    "train trainer.steps=0": 4.0,
    "train task.instructon=x": 4.0,
    "train model=foo": 4.0,
    "train rollout.engine.max_batch=3": 4.0,
    "train model=qwen3_vl_2b": 4.0,
    "balance --help": 2.5,
    "balance out=null": 4.0,
    "serve --help": 2.5,
    "evaluate --help": 2.5,
    "evaluate num_sampels=4": 4.0,
    "report --help": 2.5,
    "report": 4.0,
}


def seconds(line: str) -> float:
    """One run of `python -m uniopd_mm.<line>`."""
    name, *arguments = line.split()
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", f"uniopd_mm.{name}", *arguments], cwd=ROOT, capture_output=True, check=False)
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    print(f"{'python -m uniopd_mm.':40} {'median':>8} {'worst':>8} {'limit':>8}")
    for line, limit in LINES.items():
        taken = [seconds(line) for _ in range(REPEATS)]
        bound = f"{limit:8.1f}" if limit else "       -"
        print(f"{line:40} {statistics.median(taken):8.2f} {max(taken):8.2f} {bound}")


if __name__ == "__main__":
    main()

"""Time of a sweep over all 22 benchmarks in one process, compared with 22 runs of lmms-eval's own command line.

    python benchmarks/sweep.py CHECKPOINT --stock 3

Both evaluate the same questions of the test fixtures (tests/evaluation/hub) with the same model class (uniopd_hf) and
settings. `--stock N` runs only N of the 22 and extrapolates from their mean; 0 runs none. Use a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from uniopd_mm.evaluation.library import FOLDER, our_tasks

HUB = Path(__file__).resolve().parents[1] / "tests" / "evaluation" / "hub"
TASKS = list(our_tasks())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--stock", type=int, default=len(TASKS))
    parser.add_argument("--engine", default="hf")
    options = parser.parse_args()
    checkpoint = options.checkpoint.resolve()
    ours = sweep(checkpoint, options.engine)
    print(f"{len(TASKS)} tasks in one process: {ours:.0f} s ({ours / 60:.1f} min)", flush=True)
    if options.stock:
        each = [stock(checkpoint, task, options.engine) for task in TASKS[: options.stock]]
        whole = sum(each) / len(each) * len(TASKS)
        estimated = "" if len(each) == len(TASKS) else f" (estimated from {len(each)})"
        print(f"{len(TASKS)} runs of lmms-eval{estimated}: {whole:.0f} s; {whole / ours:.1f} times as long")


def sweep(checkpoint: Path, engine: str) -> float:
    """Seconds of the whole sweep."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "uniopd_mm.evaluate", "suite=all", f"checkpoints=[{checkpoint}]"]
        command += [f"data_root={HUB}", f"engine={engine}", f"out={folder}/out"]
        seconds = timed(command, Path(folder))
        scores = json.loads((Path(folder) / "out" / "results.json").read_text())["scores"]
        print(f"  {sum(score['status'] == 'done' for score in scores)} of {len(scores)} done")
    return seconds


def stock(checkpoint: Path, task: str, engine: str) -> float:
    """Seconds of one run of lmms-eval, started in the folder with its data."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lmms_eval", "--model", f"uniopd_{engine}", "--tasks", task]
        command += ["--model_args", f"pretrained={checkpoint}", "--include_path", str(FOLDER)]
        command += ["--output_path", f"{folder}/out", "--process_docs_parallel", "4"]
        seconds = timed(command, HUB)
        found = list(Path(folder).rglob("*_results.json"))
    print(f"  {task}: {seconds:.0f} s{'' if found else ', no results'}", flush=True)
    return seconds


def timed(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "UNIOPD_MM_DATA_ROOT": str(HUB)}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        print(f"  exit status {ended.returncode}: {ended.stderr.strip()[-2000:]}")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

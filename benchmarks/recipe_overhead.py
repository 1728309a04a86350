"""Share of the recipe in a training step: calibration, balancing and diagnostics relative to a run's step time.

python benchmarks/recipe_overhead.py runs/NAME
"""

import argparse
import json
import statistics
from pathlib import Path


def main() -> None:
    """Exit status 1 if the recipe takes more than 2 % of the median step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    lines = (parser.parse_args().run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    timings = [json.loads(line)["timing"] for line in lines]
    step = statistics.median(timing["seconds"] - timing.get("evaluate", 0.0) for timing in timings)
    shares = {name: statistics.median(timing[name] for timing in timings) / step for name in ("calibrate", "measure")}
    print(f"median of {len(timings)} steps: {step:.2f} s")
    for name, share in shares.items():
        print(f"{name:10} {1000 * share * step:6.1f} ms {share:7.2%}")
    raise SystemExit(sum(shares.values()) > 0.02)


if __name__ == "__main__":
    main()

"""Writes the fixtures of all benchmarks as the hub has their files: `python tests/evaluation/make_hub.py [FOLDER]`.

Invented rows with the published columns, types and media; nothing is copied from a benchmark. The folder of the
repository is tests/evaluation/hub, which `data_root=` takes.
"""

import shutil
import sys
from pathlib import Path

import hub_pictures
import hub_text
import hub_videos

HUB = Path(__file__).parent / "hub"


def write(root: Path) -> None:
    """All data sets below `root`, as OWNER/NAME/..."""
    for part in (hub_text, hub_pictures, hub_videos):
        part.write(root)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HUB
    shutil.rmtree(target, ignore_errors=True)
    write(target)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target}: {size / 1e3:.0f} kB")

"""What fixtures of benchmarks about videos are made of: small clips, archives, parquet files and dataset cards."""

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from datasets import Dataset, Features
from PIL import Image

from uniopd_mm.tasks.synthetic.clips import blank, draw, write_mp4

SIZE, FPS, NUM_FRAMES = 64, 8, 32
Files = Mapping[str, bytes]


@cache
def clip(color: str) -> bytes:
    """An MP4 of four seconds in which a square of this colour moves to the right."""
    frames = blank(NUM_FRAMES, SIZE)
    for number, frame in enumerate(frames):
        draw(frame, "square", color, (12 + 40 * number / NUM_FRAMES, 32), 10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(frames, path, FPS)
        return path.read_bytes()


def frame_file(number: int) -> bytes:
    """A JPEG, the brighter the later it is."""
    buffer = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), (8 * number, 40, 40)).save(buffer, format="JPEG")
    return buffer.getvalue()


def write_zip(file: Path, members: Files) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # a ZipInfo has a fixed time


def tar_bytes(members: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write_parquet(file: Path, features: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [row[name] for row in rows] for name in features}
    Dataset.from_dict(columns, features=Features(features)).to_parquet(file)


def write_card(folder: Path, configs: Mapping[str, Mapping[str, str]]) -> None:
    """The front matter that tells `datasets` which files a configuration has, by split."""
    lines = ["---", "configs:"]
    for name, files in configs.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        for split, path in files.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    (folder / "README.md").write_text("\n".join([*lines, "---", "Invented rows.", ""]))

"""The fixtures in the repository are what their script writes."""

from pathlib import Path

import make_hub
import pyarrow.parquet as pq


def files(root: Path) -> dict[str, Path]:
    return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_folder_in_the_repository_is_what_the_script_writes(tmp_path: Path) -> None:
    """Names, and the rows of tables; other bytes may depend on the versions of encoders."""
    make_hub.write(tmp_path)
    made, kept = files(tmp_path), files(make_hub.HUB)
    assert made.keys() == kept.keys()
    for name, path in kept.items():
        if path.suffix == ".parquet":
            assert (
                pq.read_table(path)
                .drop_columns(media(path))
                .equals(pq.read_table(made[name]).drop_columns(media(path)))
            )


def media(path: Path) -> list[str]:
    """Columns with encoded pictures."""
    schema = pq.read_schema(path)
    return [field.name for field in schema if "bytes" in str(field.type)]


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in files(make_hub.HUB).values()) < 1_000_000

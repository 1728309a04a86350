"""Data sets of the `datasets` library, as it writes and reads them itself: saved ones, and folders like on the hub."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from uniopd_mm.tasks.image_qa import ImageQaTask
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Media, UserError

FEATURES = datasets.Features(
    {
        "question": datasets.Value("string"),
        "answer": datasets.Value("string"),
        "images": datasets.List(datasets.Image()),
    }
)


def png(level: int) -> bytes:
    encoded = BytesIO()
    Image.new("RGB", (3, 2), (level, 0, 0)).save(encoded, "PNG")
    return encoded.getvalue()


def data_set(name: str, count: int) -> datasets.Dataset:
    rows = [
        {"question": f"{name} {n}", "answer": str(n), "images": [{"bytes": png(n), "path": "x.png"}]}
        for n in range(count)
    ]
    return datasets.Dataset.from_list(rows, features=FEATURES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """hub/: one default subset of two splits, as the hub lays them out; many/: subsets a and b; saved/, one_saved/."""
    root = tmp_path_factory.mktemp("sets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(root / "cache"))
        datasets.disable_progress_bars()
        for name, count in (("train", 6), ("test", 3)):
            (root / "hub" / "data").mkdir(parents=True, exist_ok=True)
            data_set(name, count).to_parquet(root / "hub" / "data" / f"{name}-00000-of-00001.parquet")
        for name, count in (("a", 2), ("b", 3)):
            (root / "many" / name).mkdir(parents=True)
            data_set(name, count).to_parquet(root / "many" / name / "train.parquet")
        entries = [{"config_name": name, "data_files": f"{name}/*.parquet"} for name in "ab"]
        (root / "many" / "README.md").write_text(f"---\nconfigs: {entries}\n---\n", encoding="utf-8")
        datasets.DatasetDict(train=data_set("train", 4), test=data_set("test", 2)).save_to_disk(root / "saved")
        data_set("alone", 2).save_to_disk(root / "one_saved")
        yield root


def texts(path: str, **options: Any) -> list[str]:
    task = ImageQaTask(rows=RowSource(path=path, validation_fraction=0, **options), instruction="")
    samples = task.samples("train").samples
    for sample in samples:
        medium = sample.messages[0].content[0]
        assert isinstance(medium, Media) and medium.source == png(int(str(sample.answer))), "the bytes came through"
    return [str(sample.messages[0].content[1]) for sample in samples]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_with_the_hubs_layout(root: Path, streaming: bool) -> None:
    path = f"hub:{root}/hub"
    assert texts(path, streaming=streaming) == [f"train {n}" for n in range(6)]
    assert texts(path, streaming=streaming, source_split="test") == ["test 0", "test 1", "test 2"]
    assert texts(path, streaming=streaming, max_rows=2) == ["train 0", "train 1"]


@pytest.mark.parametrize("streaming", [False, True])
def test_subsets(root: Path, streaming: bool) -> None:
    path = f"hub:{root}/many"
    assert texts(path, streaming=streaming, subset="b") == ["b 0", "b 1", "b 2"]
    assert texts(path, streaming=streaming, subset="a+b") == ["a 0", "a 1", "b 0", "b 1", "b 2"]


def test_single_files_of_a_data_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert texts(f"hub:{root}/hub/data/test-00000-of-00001.parquet") == ["test 0", "test 1", "test 2"]
    monkeypatch.chdir(root.parent)
    assert texts(f"hub:{root.name}/hub/data/test*.parquet") == ["test 0", "test 1", "test 2"]


def test_what_the_library_saved(root: Path) -> None:
    assert texts(f"{root}/saved") == [f"train {n}" for n in range(4)]
    assert texts(f"{root}/saved", source_split="test") == ["test 0", "test 1"]
    assert texts(f"{root}/one_saved") == ["alone 0", "alone 1"]


def test_rows_are_named_with_their_place(root: Path) -> None:
    rows = RowSource(path=f"hub:{root}/many", subset="a+b").raw_rows()
    assert [row.where for row in rows][1:3] == [f"{root}/many:a:train:2", f"{root}/many:b:train:1"]
    assert next(RowSource(path=f"{root}/saved").raw_rows()).where == f"{root}/saved:train:1"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("path", "options", "parts"),
    [
        ("hub:{}/hub", {"source_split": "trian"}, ["data.source_split=trian", "'train', 'test'"]),
        ("hub:{}/hub", {"subset": "main"}, ["data.subset=main", "default"]),
        ("hub:{}/many", {}, ["data.subset=None", "'a', 'b'"]),
        ("hub:{}/nowhere", {}, ["data.path=hub:", "give hub:OWNER/NAME, or hub:FOLDER"]),
        ("hub:{}/one_saved", {}, ["saved by `datasets`; give data.path=/"]),
    ],
)
def test_what_is_not_there_is_one_line_that_lists_what_is(
    root: Path, path: str, options: dict[str, Any], parts: list[str], streaming: bool
) -> None:
    with pytest.raises(UserError) as error:
        list(RowSource(path=path.format(root), streaming=streaming, **options).raw_rows())
    message = str(error.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message and ";" in message


def test_a_split_that_was_not_saved(root: Path) -> None:
    with pytest.raises(UserError, match=r"data.source_split=dev: .* has no such split; choose from train, test"):
        list(RowSource(path=f"{root}/saved", source_split="dev").raw_rows())


def test_damaged_data_sets_are_one_clear_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match=r"data.path=hub:.* cannot be loaded"):
        list(RowSource(path=f"hub:{tmp_path}").raw_rows())
    data_set("x", 2).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "data-00000-of-00001.arrow").write_bytes(b"")
    with pytest.raises(UserError, match=r"saved: cannot be loaded .*; save it again"):
        list(RowSource(path=str(tmp_path / "saved")).raw_rows())


def test_without_a_network_the_remedy_is_a_copy() -> None:
    code = "from uniopd_mm.tasks.reading.sources import RowSource; "
    code += "list(RowSource(path='hub:some/set/part/*.parquet').raw_rows())"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    message = run.stderr.strip().splitlines()[-1]
    assert "UserError: data.path=hub:some/set/part/*.parquet: Couldn't reach" in message
    assert "`hf download some/set --repo-type dataset --local-dir FOLDER`" in message
    assert "give data.path=hub:FOLDER/part/*.parquet" in message

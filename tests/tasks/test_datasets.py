"""Every configs/data/*.yaml reads rows with the columns and types of its data set, laid out as on the hub."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from dataset_parts import CASES, VERL, Case, verl
from omegaconf import OmegaConf

from uniopd_mm.config import resolvers
from uniopd_mm.tasks.reading.chats import read_chat
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.rows import read_samples
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Media, Sample

YAMLS = Path(__file__).resolve().parents[2] / "configs" / "data"
CODE = ("eurus_2_rl_code", "g_opd_code")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    return tmp_path / "copy"


def settings(name: str, **changed: Any) -> dict[str, Any]:
    """What the YAML sets, as Hydra composes it with changed values."""
    resolvers.register()
    composed = OmegaConf.merge({"data": OmegaConf.load(YAMLS / f"{name}.yaml")}, {"data": changed})
    loaded: Any = OmegaConf.to_container(composed, resolve=True)
    return {key: value for key, value in loaded["data"].items() if value is not None}


def lay_out(folder: Path, chosen: dict[str, Any], features: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """A copy of the data set as its YAML thinks that it is; the path to give in place of the hub's."""
    table = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    files = "/".join(chosen["path"].split("/")[2:]) if chosen["path"].startswith("hub:") else chosen["path"]
    subsets = chosen.get("subset", "").split("+")
    names = [files] if files else [f"{part or 'data'}/{chosen['source_split']}-00000.parquet" for part in subsets]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".json"):
            (folder / name).write_text(json.dumps(rows), encoding="utf-8")
        elif name.endswith(".jsonl"):
            (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        else:
            table.to_parquet(folder / name)
    if "subset" in chosen:
        split = chosen["source_split"]
        entries = [
            {"config_name": part, "data_files": [{"split": split, "path": f"{part}/*.parquet"}]} for part in subsets
        ]
        (folder / "README.md").write_text(f"---\nconfigs: {entries}\n---\n", encoding="utf-8")
    if not chosen["path"].startswith("hub:"):
        return str(folder / files)
    return f"hub:{folder}/{files}" if files else f"hub:{folder}"


def test_every_yaml_has_its_case() -> None:
    assert {path.stem for path in YAMLS.glob("*.yaml")} == {*CASES, *CODE}


@pytest.mark.parametrize(("name", "case"), CASES.items())
def test_a_training_set_is_read(folder: Path, name: str, case: Case) -> None:
    chosen = settings(name)
    path = lay_out(folder, chosen, case.features, case.rows)
    media = folder / "media"
    for file in case.files:
        (media / file).parent.mkdir(parents=True, exist_ok=True)
        (media / file).write_bytes(b"never opened here")
    source = RowSource(**{**chosen, "path": path, "media_root": str(media) if case.files else None})
    task = case.task(source)
    corpus = task.samples("train")
    sample = corpus[0]
    content = sample.messages[-1].content
    assert "".join(part for part in content if isinstance(part, str)) == case.question
    assert [part.kind for part in content if isinstance(part, Media)] == [case.media] * bool(case.media)
    assert sample.answer == case.answer
    assert task.grade(sample, case.right).correct is True
    assert task.grade(sample, case.wrong).correct is False
    assert case.metadata.items() <= sample.metadata.items()
    assert not {"r1_solution_1", "image", "images"} & set(sample.metadata)
    json.dumps(sample.row)
    subsets = len(chosen.get("subset", "").split("+"))
    assert (len(corpus), len(corpus.skipped)) == (1, subsets - 1), "the same row of other subsets is there already"


@pytest.mark.parametrize("name", CODE)
def test_a_set_of_programs_is_read(folder: Path, name: str) -> None:
    chosen = settings(name)
    tests = json.dumps({"inputs": ["1 2\n"], "outputs": ["3\n"]})
    rows = [verl("code", "Add two numbers.", tests), verl("math", "1 + 1?", "2")]
    path = lay_out(folder, chosen, VERL, rows if "where" in chosen else rows[:1])

    def parse(row: Row) -> tuple[Sample, str | None]:
        assert json.loads(row.need("tests")) == {"inputs": ["1 2\n"], "outputs": ["3\n"]}
        text = read_chat(row).question
        return Sample(sample_id=text, domain="code", messages=(), answer=None, source=row.where), None

    reading = read_samples(RowSource(**{**chosen, "path": path}), parse=parse, fields=("question", "tests"))
    assert [sample.sample_id for sample in reading.samples] == ["Add two numbers."]
    assert reading.left_out == len(rows if "where" in chosen else rows[:1]) - 1


@pytest.mark.parametrize("name", sorted(path.stem for path in YAMLS.glob("*.yaml")))
def test_a_yaml_works_with_files_of_ones_own(folder: Path, name: str) -> None:
    """The subset and the split that it names are those of the hub."""
    mine = settings(name, path="mine.csv")
    RowSource(**mine)
    assert "subset" not in mine and mine.get("source_split", "train") == "train"
    assert mine["columns"] == settings(name)["columns"]


def test_the_official_table_of_next_qa_is_read(folder: Path) -> None:
    folder.mkdir()
    (folder / "7.mp4").write_bytes(b"never opened here")
    names = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4"
    (folder / "mc.csv").write_text(f"{names}\n7,9,8,8,why,2,1,CW,a,b,c,d,e\n", encoding="utf-8")
    source = RowSource(**settings("nextqa", path=str(folder / "mc.csv")), validation_fraction=0)
    (sample,) = CASES["nextqa"].task(source).samples("train")
    assert (sample.answer, sample.metadata["choices"]["C"]) == ("C", "c")

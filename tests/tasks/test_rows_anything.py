"""Whatever JSON rows hold, each becomes a sample or a skip with its reason, and a sample's row gives it again."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniopd_mm.interfaces import Task
from uniopd_mm.tasks.chart_qa import ChartTask
from uniopd_mm.tasks.image_qa import ImageQaTask
from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import UserError

TASKS = (VideoQaTask, MathTask, ImageQaTask, ChartTask)
PICTURE = "data:image/png;base64,AAAA"
GOOD = {"id": "good", "question": "q", "answer": "1", "images": PICTURE, "video": PICTURE}

TEXTS = st.text(max_size=5) | st.sampled_from(["<image>", "<video>", "<answer>b</answer>", r"\boxed{1}", "#### 2", "A"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
PARTS = st.fixed_dictionaries({"type": st.sampled_from(["text", "image", "video", "x"])}, optional={"text": VALUES})
CHATS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant"])}, optional={"content": VALUES | st.lists(PARTS)}
    ),
    max_size=3,
)
MEDIA = (
    st.just(PICTURE)
    | st.sampled_from([PICTURE, [PICTURE, PICTURE], [None, PICTURE], {"path": PICTURE, "bytes": None}])
    | VALUES
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **{"question": TEXTS | CHATS | VALUES, "answer": TEXTS | VALUES, "images": MEDIA, "video": MEDIA},
    **{"caption": TEXTS | VALUES, "choices": st.lists(TEXTS, max_size=4) | VALUES, "other": VALUES},
    **{"id": SCALARS, "split": st.sampled_from(["train", "val", "x"]), "pass_rate": SCALARS, "response": SCALARS},
}
CHANGES = st.lists(st.sampled_from(sorted(FIELDS)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)
ROWS = st.builds(lambda number, change: {**GOOD, "id": f"row {number}", **change}, st.integers(0, 99), CHANGES)


@pytest.mark.parametrize("kind", TASKS)
@settings(max_examples=60, deadline=None)
@given(given=st.lists(ROWS, max_size=4))
def test_every_row_is_a_sample_or_a_skip(
    tmp_path_factory: pytest.TempPathFactory, kind: Any, given: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in [GOOD, *given]), encoding="utf-8")
    task, samples, skipped = read(kind, path)
    places = [sample.source for sample in samples] + [skip.where for skip in skipped]
    assert sorted(places) == [f"{path}:{number}" for number in range(1, len(given) + 2)]
    assert all(skip.reason and "\n" not in skip.reason for skip in skipped)
    assert all(task.grade(sample, "A").reason for sample in samples)
    path.write_text("".join(f"{json.dumps(sample.row)}\n" for sample in samples), encoding="utf-8")
    _, again, lost = read(kind, path)
    assert lost == []
    assert [replace(sample, source="") for sample in again] == [replace(sample, source="") for sample in samples]


def read(kind: Any, path: Path) -> tuple[Task, list[Any], list[Any]]:
    task = kind(rows=RowSource(path=str(path), validation_fraction=0))
    corpora = [task.samples("train")]
    with suppress(UserError):  # mostly no row is in it
        corpora.append(task.samples("validation"))
    return task, [sample for corpus in corpora for sample in corpus], list(corpora[0].skipped)

"""Rows of the field's shapes in a real run: what was recognised is said once, what is unclear ends with status 2."""

import json
import shutil
from pathlib import Path
from typing import Any

from job_parts import run, summary
from PIL import Image

from uniopd_mm.types import Media, Sample


def clips(folder: Path, samples: tuple[Sample, ...]) -> list[str]:
    for number, sample in enumerate(samples[:4]):
        (medium,) = [part for part in sample.messages[0].content if isinstance(part, Media)]
        shutil.copy(medium.source, folder / f"{number}.mp4")
    return [f"{number}.mp4" for number in range(4)]


def row(video: Any, split: str = "train") -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nWhich way?"}, {"from": "gpt", "value": "left"}]
    return {"video": video, "conversations": turns, "split": split}


def test_rows_of_llava_video_train(tmp_path: Path, samples: tuple[Sample, ...], parts: list[str]) -> None:
    names = clips(tmp_path, samples)
    for number in range(4):
        Image.new("RGB", (32, 32), (60 * number, 0, 0)).save(tmp_path / f"frame{number}.png")
    frames = [f"frame{number}.png" for number in range(4)]
    rows = [*map(row, names[:3]), row(frames), row({"video": names[0], "fps": 1}), row(names[3], "validation")]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    arguments = ["data.path=rows.json", "run.name=own", "trainer.prompts_per_step=5"]
    finished = run([*parts, *arguments], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    said = "rows.json: read as conversations of LLaVA or ShareGPT: question from conversations, answer from"
    assert finished.out.count(said) == 1
    assert summary(tmp_path / "runs" / "own")["skipped"]["count"] == 0


def test_what_is_unclear_is_one_line(tmp_path: Path, samples: tuple[Sample, ...], parts: list[str]) -> None:
    names = clips(tmp_path, samples)
    rows = [{"question": "?", "answer": "left", "video": name, "second_clip": names[0]} for name in names]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    finished = run([*parts, "data.path=rows.jsonl", "run.name=own"], tmp_path)
    assert finished.status == 2
    assert (
        "column second_clip holds videos that nothing reads; read it with data.columns.video=[video,second_clip]"
        in (finished.err)
    )
    assert "Traceback" not in finished.err + finished.out

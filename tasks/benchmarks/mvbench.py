"""MVBench (arXiv 2311.17005): 20 kinds of questions that need more than one frame, 200 of each. The score is the mean
over kinds.

The repository has a file `json/<kind>.json` for each kind, with `video`, `question`, `candidates`, `answer` (a text)
and, if a question is about a part of its video, `start` and `end` in seconds. episodic_reasoning has folders of frames,
`fps` of them per second. `all_kinds` joins the files, because a task of lmms-eval has one data set.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from uniopd_mm.tasks.benchmarks.archives import media_file, media_folder
from uniopd_mm.tasks.benchmarks.benchmark import Row, video
from uniopd_mm.tasks.benchmarks.video_choices import choice_benchmark, detailed, in_turn
from uniopd_mm.types import BadSample, UserError

REPO = "OpenGVLab/MVBench"
FRAME_FOLDERS = "episodic_reasoning"
_FRAMES_PER_SECOND = 3.0  # of the frame folders ("frames_fps3_hq"), for rows without `fps`
FOLDERS = {
    "action_sequence": "star/Charades_v1_480",
    "action_prediction": "star/Charades_v1_480",
    "action_antonym": "ssv2_video",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "unexpected_action": "FunQA_test/test",
    "object_existence": "clevrer/video_validation",
    "object_interaction": "star/Charades_v1_480",
    "object_shuffle": "perception/videos",
    "moving_direction": "clevrer/video_validation",
    "action_localization": "sta/sta_video",
    "scene_transition": "scene_qa/video",
    "action_count": "perception/videos",
    "moving_count": "clevrer/video_validation",
    "moving_attribute": "clevrer/video_validation",
    "state_change": "perception/videos",
    "fine_grained_pose": "nturgbd",
    "character_order": "perception/videos",
    "egocentric_navigation": "vlnqa",
    FRAME_FOLDERS: "tvqa/frames_fps3_hq",
    "counterfactual_inference": "clevrer/video_validation",
}


def all_kinds(first: Any) -> Any:
    """The questions of all kinds by turns, as a data set with the column `kind`. `first`, the data set that the YAML
    names, is not read.

    Raises:
        UserError: a file of questions is missing or cannot be read.
    """
    from datasets import Dataset, Features, List, Value  # takes a second to import

    features = {name: Value("string") for name in ("kind", "video", "question", "answer")}
    numbers = {name: Value("float64") for name in ("start", "end", "fps")}
    rows = in_turn([_questions(kind) for kind in FOLDERS])
    return Dataset.from_list(
        [dict(row) for row in rows], features=Features({**features, "candidates": List(Value("string")), **numbers})
    )


def _questions(kind: str) -> list[Row]:
    try:
        raw = json.loads(Path(media_file(REPO, f"json/{kind}.json")).read_text(encoding="utf-8"))
        return [_row(kind, cells) for cells in raw]
    except BadSample as error:
        raise UserError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{REPO}: json/{kind}.json: cannot be read ({error!r}); download it again") from error


def _row(kind: str, cells: Mapping[str, Any]) -> Row:
    numbers = {name: None if cells.get(name) is None else float(cells[name]) for name in ("start", "end", "fps")}
    texts = {name: str(cells[name]) for name in ("video", "question", "answer")}
    return {"kind": kind, "candidates": [str(text) for text in cells["candidates"]], **texts, **numbers}


def question(row: Row) -> str:
    return str(row["question"]).strip()


def choices(row: Row) -> Any:
    return row.get("candidates")


def target(row: Row) -> str | None:
    """The letter of the candidate that is the answer, or the answer itself if no candidate is."""
    candidates, answer = list(row.get("candidates") or ()), row.get("answer")
    return chr(ord("A") + candidates.index(answer)) if answer in candidates else answer


def media(row: Row) -> Sequence[Mapping[str, Any]]:
    """The part of the video that the question is about, or the frames of that part."""
    if row["kind"] == FRAME_FOLDERS:
        return [_frames(row)]
    bounds = {"video_start": row.get("start"), "video_end": row.get("end")}
    return [{**video(media_file(REPO, *_places(row))), **{k: v for k, v in bounds.items() if v is not None}}]


def _frames(row: Row) -> dict[str, Any]:
    """The frames of a folder. The time of frame n, counted from 1, is n / `fps` seconds."""
    fps = row.get("fps") or _FRAMES_PER_SECOND
    paths = media_folder(REPO, *_places(row))
    start, end = row.get("start"), row.get("end")
    first = 0 if start is None else max(round(start * fps) - 1, 0)
    last = len(paths) if end is None else round(end * fps)
    # Some rows have an end before their start, or a start after the last frame: then the whole folder is shown.
    return {"type": "video", "url": paths[first:last] or paths, "sample_fps": fps}


def _places(row: Row) -> list[str]:
    """The possible paths of a video: unpacked from the archives, in the archive named like its folder, in data0613.zip
    (videos of clevrer and star that were missing at first), or any path that ends like this."""
    folder, name = FOLDERS[row["kind"]], row["video"]
    path = f"{folder}/{name}"
    places = [f"video/{path}", f"{folder.split('/')[0]}/{path}", f"data0613/{path}", path]
    if row["kind"] == "fine_grained_pose":  # removed from the main branch because of its licence
        places.append(f"nturgbd_convert/{PurePosixPath(name).stem}.mp4")
    return places


def kind(row: Row) -> str:
    return str(row.get("kind"))


def _video_of(row: Row) -> str:
    return f"{FOLDERS.get(kind(row))}/{row.get('video')}"


_BENCHMARK = choice_benchmark(question=question, choices=choices, target=target, media=media, group=kind)
prompt, messages, visuals = _BENCHMARK.prompt, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = detailed(_BENCHMARK, cluster=_video_of)

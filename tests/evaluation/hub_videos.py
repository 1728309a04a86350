"""Invented rows of six benchmarks about videos, with the columns, types, archives and folders that the hub has."""

import json
from pathlib import Path
from typing import Any

from datasets import List, Value
from video_files import NUM_FRAMES, SIZE, clip, frame_file, tar_bytes, write_card, write_parquet, write_zip

from uniopd_mm.tasks.benchmarks.mvbench import FOLDERS, FRAME_FOLDERS

TEXT, WHOLE, NUMBER, TEXTS = Value("string"), Value("int64"), Value("float64"), List(Value("string"))
COLORS = ("red", "green", "blue", "yellow")


def write(root: Path) -> None:
    """Writes OWNER/NAME/… of every benchmark below `root`; the same bytes for the same versions of the libraries."""
    for repo, write_one in _BENCHMARKS.items():
        folder = root / repo
        folder.mkdir(parents=True, exist_ok=True)
        write_one(folder)


def _videomme(folder: Path) -> None:
    asked = [
        ("001", "short", "shortClip01", "Which way does the square move?", ["left", "right", "up", "down"], "B"),
        ("001", "short", "shortClip01", "Which country is named?", ["Canada", "China", "Brazil", "Egypt"], "B"),
        ("301", "medium", "-mediumClip", "Which colour is the square?", ["red", "blue", "green", "black"], "C"),
        ("301", "medium", "-mediumClip", "How many squares are seen?", ["1", "2", "3", "4"], "A"),
        (
            "601",
            "long",
            "longClip003",
            "What happens first?",
            ["It stops.", "It jumps.", "It sinks.", "It moves."],
            "D",
        ),
        ("601", "long", "longClip003", "Where does it end?", ["Above.", "Below.", "On the right.", "Nowhere."], "C"),
    ]
    rows = [
        {
            "video_id": number,
            "duration": duration,
            "domain": "Knowledge",
            "sub_category": "Technology",
            "url": f"https://example.com/{name}",
            "videoID": name,
            "question_id": f"{number}-{position % 2 + 1}",
            "task_type": "Action Recognition",
            "question": question,
            "options": [f"{label}. {option}" for label, option in zip("ABCD", options, strict=True)],
            "answer": answer,
        }
        for position, (number, duration, name, question, options, answer) in enumerate(asked)
    ]
    features = {name: TEXTS if name == "options" else TEXT for name in rows[0]}
    write_parquet(folder / "videomme/test-00000-of-00001.parquet", features, rows)
    write_card(folder, {"videomme": {"test": "videomme/test-*"}})
    write_zip(folder / "videos_chunked_01.zip", {f"data/{asked[0][2]}.mp4": clip("red")})
    others = {f"data/{asked[2][2]}.mp4": clip("green"), f"data/{asked[4][2]}.MP4": clip("blue")}
    write_zip(folder / "videos_chunked_02.zip", others)
    write_zip(folder / "subtitle.zip", {"subtitle/shortClip01.srt": b"1\n00:00:00,000 --> 00:00:01,000\nNothing.\n"})


_STRETCHES = {"action_sequence", "action_prediction", "object_interaction", "action_localization", FRAME_FOLDERS}


def _mvbench(folder: Path) -> None:
    members: dict[str, dict[str, bytes]] = {}
    for position, (kind, place) in enumerate(FOLDERS.items()):
        archive, color = place.split("/")[0], COLORS[position % 4]
        name = "show_s01_clip_02" if kind == FRAME_FOLDERS else f"{color}.{'avi' if archive == 'nturgbd' else 'mp4'}"
        if kind == FRAME_FOLDERS:
            files = {f"{place}/{name}/{number:05d}.jpg": frame_file(number) for number in range(1, 13)}
        else:
            files = {f"{place}/{name}": clip(color)}
        members.setdefault(archive, {}).update(files)
        _mvbench_questions(folder / f"json/{kind}.json", kind, name, position)
    for file, content in members.pop("nturgbd").items():  # not on the hub: where a user would put it
        (folder / "video" / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / "video" / file).write_bytes(content)
    later = members["clevrer"].popitem()
    write_zip(folder / "video/data0613.zip", {f"data0613/{later[0]}": later[1]})
    for archive, files in members.items():
        write_zip(folder / f"video/{archive}.zip", files)
    write_card(folder, {kind: {"train": f"json/{kind}.json"} for kind in FOLDERS})


def _mvbench_questions(file: Path, kind: str, video: str, position: int) -> None:
    candidates = ["to the left", "to the right", "nowhere"] if position % 2 else ["0", "1", "2", "3"]
    row: dict[str, Any] = {
        "video": video,
        "question": f"What is seen of {kind.replace('_', ' ')}?",
        "candidates": candidates,
        "answer": candidates[position % len(candidates)],
    }
    if kind in _STRETCHES:
        row |= {"start": 1.0, "end": 3.0}
    if kind == FRAME_FOLDERS:
        row["fps"] = 3
    if kind == "action_sequence":
        row |= {"question_id": "x_1", "accurate_start": 1.25, "accurate_end": 2.75}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([row]))


def _longvideobench(folder: Path) -> None:
    asked = [
        ("clipAaaa", 15, "Which shape is seen?", ["a circle", "a square", "a star"], 1),
        ("clipAaaa", 15, "How does it begin?", ["on the left", "on the right", "above", "below", "unseen"], 0),
        ("clipBbbb", 60, "Which colour has it?", ["green", "red", "black", "white"], 0),
        ("clipCccc", 600, "When does it stop?", ["never", "at once", "in the middle"], 0),
        ("clipCccc", 3600, "What is behind it?", ["a tree", "a wall", "a house", "nothing"], 3),
    ]
    rows = [
        {
            "video_id": name,
            "question": question,
            "question_wo_referring_query": question,
            "correct_choice": answer,
            "position": [position],
            "topic_category": "KH-Knowledge-History",
            "question_category": "S2E",
            "level": "L1-Perception",
            "id": f"{name}_{position}",
            "video_path": f"{name}.mp4",
            "subtitle_path": f"{name}_en.json",
            "duration_group": group,
            "starting_timestamp_for_subtitles": 0.0,
            "duration": 4.0,
            "view_count": 7,
            **{f"option{index}": (options + ["N/A"] * 5)[index] for index in range(5)},
        }
        for position, (name, group, question, options, answer) in enumerate(asked)
    ]
    types = {str: TEXT, int: WHOLE, float: NUMBER, list: List(WHOLE)}
    features = {name: types[type(value)] for name, value in rows[0].items()}
    write_parquet(folder / "validation-00000-of-00001.parquet", features, rows)
    write_parquet(folder / "test-00000-of-00001.parquet", features, rows[:1])
    (folder / "lvb_val.json").write_text(json.dumps([]))
    write_card(folder, {"default": {"validation": "validation-*", "test": "test-*"}})
    colors = dict(zip(dict.fromkeys(name for name, *_ in asked), COLORS, strict=False))
    whole = tar_bytes({f"videos/{name}.mp4": clip(color) for name, color in colors.items()})
    third = len(whole) // 3
    for number, part in enumerate((whole[:third], whole[third : 2 * third], whole[2 * third :])):
        (folder / f"videos.tar.part.a{'abc'[number]}").write_bytes(part)
    (folder / "subtitles.tar").write_bytes(tar_bytes({"subtitles/clipAaaa_en.json": b"[]"}))


def _mlvu(folder: Path) -> None:
    asked = [
        ("plotQA", "movie_1.mp4", "What does he carry?", ["A ladder", "A square", "A dog", "Bread"], "B"),
        ("plotQA", "movie_1.mp4", "Where does he go?", ["Left", "Up", "Right", "Down"], "C"),
        ("count", "count_1.mp4", "How often does it move?", ["1", "2", "3", "4"], "A"),
        ("needle", "needle_1.mp4", "Which colour flashes?", ["Blue", "Black", "Brown", "Beige"], "A"),
        ("order", "movie_1.mp4", "What is the order?", ["a then b", "b then a", "only a", "only b"], "D"),
    ]
    rows = [
        {
            "video_name": name,
            "duration": 240.0,
            "question": "\n".join(
                [question, *(f"({label}) {text}" for label, text in zip("ABCD", options, strict=True))]
            ),
            "answer": answer,
            "task_type": kind,
        }
        for kind, name, question, options, answer in asked
    ]
    features = {name: NUMBER if name == "duration" else TEXT for name in rows[0]}
    write_parquet(folder / "mlvu/test-00000-of-00001.parquet", features, rows)
    write_zip(folder / "video_part_1.zip", {"movie_1.mp4": clip("red"), "count_1.mp4": clip("green")})
    write_zip(folder / "video_part_2.zip", {"needle_1.mp4": clip("blue")})


def _tempcompass(folder: Path) -> None:
    formats: dict[str, list[tuple[str, str, str]]] = {
        "multi-choice": [
            ("direction", "Where does it move?\nA. to the left\nB. to the right\nC. up", "B. to the right"),
            ("speed", "How fast is it?\nA. it rests\nB. it is slow\nC. it is fast", "B. it is slow"),
        ],
        "yes_no": [
            ("direction", "Does the square move to the right?", "yes"),
            ("speed", "Does the square stand still?", "no"),
        ],
        "caption_matching": [
            (
                "direction",
                "Which description fits the video?\nOption 1: it moves to the left.\nOption 2: it moves to the right.",
                "Option 2: it moves to the right.",
            ),
            (
                "order",
                "Which sentence fits the video?\nSentence A: first red, then blue.\nSentence B: only one colour.",
                "Sentence B: only one colour.",
            ),
        ],
    }
    for name, asked in formats.items():
        rows = [
            {"video_id": str(1021488 + number % 2), "question": question, "answer": answer, "dim": dim}
            for number, (dim, question, answer) in enumerate(asked)
        ]
        features = dict.fromkeys(("video_id", "question", "answer", "dim"), TEXT)
        write_parquet(folder / name / "test-00000-of-00001.parquet", features, rows)
    write_card(folder, {name: {"test": f"{name}/test-*"} for name in formats})
    videos = {"videos/1021488.mp4": clip("red"), "videos/1021489.mp4": clip("green")}
    write_zip(folder / "tempcompass_videos.zip", videos)


def _nextqa(folder: Path) -> None:
    asked = [
        (
            "CW",
            4010069381,
            "why did the square move",
            ["to rest", "to reach the edge", "to eat", "to fall", "to hide"],
            1,
        ),
        ("CH", 4010069381, "how does the square move", ["slowly", "in jumps", "backwards", "twice", "upside down"], 0),
        (
            "TN",
            2834146886,
            "what happens at the end",
            ["it explodes", "it turns", "it fades", "it splits", "it stops"],
            4,
        ),
        ("DL", 2834146886, "where is this", ["canteen", "dark room", "beach", "attic", "bus"], 1),
    ]
    rows = [
        {
            "video": video,
            "frame_count": NUM_FRAMES,
            "width": SIZE,
            "height": SIZE,
            "question": question,
            "answer": answer,
            "qid": number,
            "type": kind,
            **{f"a{index}": option for index, option in enumerate(options)},
        }
        for number, (kind, video, question, options, answer) in enumerate(asked)
    ]
    features = {name: WHOLE if isinstance(value, int) else TEXT for name, value in rows[0].items()}
    write_parquet(folder / "MC/test-00000-of-00001.parquet", features, rows)
    write_card(folder, {"MC": {"test": "MC/test-*"}})
    videos = {"NExTVideo/4010069381.mp4": clip("yellow"), "NExTVideo/2834146886.mp4": clip("blue")}
    write_zip(folder / "videos.zip", videos)


_BENCHMARKS = {
    "lmms-eval/Video-MME": _videomme,
    "OpenGVLab/MVBench": _mvbench,
    "longvideobench/LongVideoBench": _longvideobench,
    "sy1998/MLVU_dev": _mlvu,
    "lmms-eval/TempCompass": _tempcompass,
    "lmms-eval/NExTQA": _nextqa,
}

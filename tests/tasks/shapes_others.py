"""Shapes of rows about videos, text and programs, and of files; more pictures of multiple choice."""

import json

from shape_parts import RED, Shape
from shapes_pictures import gpt, human, said

TESTS = {"inputs": ["1 2\n"], "outputs": ["3\n"]}
ASSERTS = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]

VIDEOS = [
    Shape(
        name="LLaVA-Video-178K",
        task="video_qa",
        file="llava_video.json",
        rows=[
            {
                **{"id": "v1", "data_source": "0_30_s_nextqa", "video": "clip.mp4"},
                "conversations": [human("<image>\nWhat moves?\nA. a cat\nB. a dog"), gpt("B. a dog")],
            }
        ],
        question="What moves?\nA. a cat\nB. a dog",
        answer="B. a dog",
        media=("video",),
    ),
    Shape(
        name="NExT-QA",
        task="video_qa",
        file="nextqa.csv",
        rows=[
            {
                **{"video": 2435100235, "frame_count": 774, "width": 640, "height": 480, "question": "why wave"},
                **{
                    "answer": 3,
                    "qid": 6,
                    "type": "CW",
                    "a0": "cold",
                    "a1": "sad",
                    "a2": "hot",
                    "a3": "bye",
                    "a4": "no",
                },
            }
        ],
        question="why wave\nA. cold\nB. sad\nC. hot\nD. bye\nE. no",
        answer="D",
        choices=dict(zip("ABCDE", ["cold", "sad", "hot", "bye", "no"], strict=True)),
        media=("video",),
    ),
    Shape(
        name="MVBench",
        task="video_qa",
        file="action.json",
        rows=[{"video": "clip.mp4", "question": "Which way?", "candidates": ["left", "right"], "answer": "right"}],
        question="Which way?\nA. left\nB. right",
        answer="B",
        choices={"A": "left", "B": "right"},
        media=("video",),
    ),
    Shape(
        name="Video-R1",
        task="video_qa",
        file="video_r1.json",
        rows=[
            {
                **{"problem_id": 2, "problem": "What appears?", "data_type": "video", "data_source": "STAR"},
                **{"problem_type": "multiple choice", "options": ["A. a cat", "B. a dog"], "process": ""},
                **{"solution": "<answer>B</answer>", "path": "./clip.mp4"},
            }
        ],
        question="What appears?\nA. a cat\nB. a dog",
        answer="B",
        choices={"A": "a cat", "B": "a dog"},
        media=("video",),
    ),
    Shape(
        name="verl with a video",
        task="video_qa",
        rows=[
            {
                **{"prompt": [said("user", "<video>How many?")], "videos": [{"video": "clip.mp4", "fps": 2.0}]},
                "reward_model": {"ground_truth": "4", "style": "rule"},
            }
        ],
        question="How many?",
        answer="4",
        media=("video",),
    ),
    Shape(
        name="ms-swift videos",
        task="video_qa",
        rows=[{"messages": [said("user", "<video>Who?"), said("assistant", "a cook")], "videos": ["clip.mp4"]}],
        question="Who?",
        answer="a cook",
        media=("video",),
    ),
    Shape(
        name="a list of frames",
        task="video_qa",
        rows=[{"question": "What next?", "answer": "a jump", "frames": ["f1.jpg", "f2.jpg"]}],
        question="What next?",
        answer="a jump",
        media=("video",),
    ),
]

TEXTS = [
    Shape(
        name="GSM8K",
        task="math",
        rows=[{"question": "48 and half?", "answer": "48/2 = <<48/2=24>>24\n48+24 = 72\n#### 72"}],
        question="48 and half?",
        answer="72",
    ),
    Shape(
        name="MATH",
        task="math",
        rows=[{"problem": "Half of 3?", "level": "Level 1", "type": "Algebra", "solution": r"It is \boxed{\frac32}."}],
        question="Half of 3?",
        answer=r"\frac32",
    ),
    Shape(
        name="DAPO-Math (processed)",
        task="math",
        rows=[
            {
                **{"prompt": "1 + 33?", "solution": "34", "data_source": "math_dapo", "ability": "MATH"},
                "source_prompt": [said("user", "Solve … 1 + 33? … Answer: $Answer")],
                **{"reward_model": {"ground_truth": "34", "style": "rule"}, "extra_info": {"index": "9a"}},
            }
        ],
        question="1 + 33?",
        answer="34",
    ),
    Shape(
        name="AIME 2024",
        task="math",
        rows=[{"ID": "2024-II-4", "Problem": "Find m+n.", "Solution": "… is 33.", "Answer": 33}],
        question="Find m+n.",
        answer="33",
    ),
    Shape(
        name="NuminaMath-CoT",
        task="math",
        rows=[
            {
                **{"source": "synthetic", "problem": "x?", "solution": r"So \boxed{2}."},
                "messages": [said("user", "x?"), said("assistant", r"So \boxed{2}.")],
            }
        ],
        question="x?",
        answer="2",
    ),
    Shape(
        name="OpenR1-Math",
        task="math",
        rows=[
            {
                **{"problem": "v?", "solution": "## Solution\n… v=5.", "answer": "5", "problem_type": "Algebra"},
                **{
                    "uuid": "u",
                    "is_reasoning_complete": [True],
                    "generations": ["<think>…</think>"],
                    "correctness_count": 1,
                },
                "messages": [said("user", "v?"), said("assistant", "<think>…")],
            }
        ],
        question="v?",
        answer="5",
    ),
    Shape(
        name="ARC",
        task="math",
        rows=[
            {
                "id": "1",
                "question": "Which?",
                "choices": {"text": ["ice", "fire"], "label": ["A", "B"]},
                "answerKey": "B",
            }
        ],
        question="Which?\nA. ice\nB. fire",
        answer="B",
        choices={"A": "ice", "B": "fire"},
    ),
]

PROGRAMS = [
    Shape(
        name="APPS",
        task="code",
        rows=[
            {
                **{"problem_id": 0, "question": "Add two numbers.", "solutions": '["print(3)"]', "starter_code": ""},
                **{"input_output": json.dumps(TESTS), "difficulty": "interview", "url": "https://x.example/1"},
            }
        ],
        question="Add two numbers.",
        answer=None,
    ),
    Shape(
        name="TACO",
        task="code",
        rows=[
            {
                **{"question": "Add.", "starter_code": "def add(a, b):", "solutions": "[]", "tags": "['math']"},
                "input_output": json.dumps({"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}),
            }
        ],
        question="Add.\n\nBegin with this code.\n```python\ndef add(a, b):\n```",
        answer=None,
    ),
    Shape(
        name="LeetCode",
        task="code",
        rows=[
            {
                **{"task_id": "two-sum", "question_id": 1, "difficulty": "Easy", "problem_description": "Add a and b."},
                **{"starter_code": "class Solution:\n    def add(self, a, b):", "prompt": "from typing import *\n"},
                **{"entry_point": "Solution().add", "test": "def check(candidate):\n    assert candidate(1, 2) == 3"},
                **{"completion": "class Solution: …", "query": "You are …", "response": "```python …"},
            }
        ],
        question="Add a and b.\n\nBegin with this code.\n```python\nclass Solution:\n    def add(self, a, b):\n```",
        answer=None,
    ),
    Shape(
        name="HumanEval",
        task="code",
        rows=[
            {
                **{"task_id": "HumanEval/0", "prompt": 'def add(a, b):\n    """Add."""\n', "entry_point": "add"},
                **{"canonical_solution": "    return a + b", "test": "def check(f):\n    assert f(1, 2) == 3\n"},
            }
        ],
        question='Complete this program.\n```python\ndef add(a, b):\n    """Add."""\n```',
        answer=None,
    ),
    Shape(
        name="MBPP",
        task="code",
        rows=[
            {
                **{"task_id": 1, "text": "Write a function to add.", "code": "def add(a, b):\n    return a + b"},
                **{"test_list": ASSERTS, "test_setup_code": "", "challenge_test_list": []},
            }
        ],
        question=f"Write a function to add.\n\nYour program must pass this test.\n```python\n{ASSERTS[0]}\n```",
        answer=None,
    ),
]

FILES = [
    Shape(
        name="webdataset",
        task="vqa",
        file="shard-000.tar",
        rows=[{"0001.png": RED, "0001.json": {"question": "Colour?", "answer": "red", "image": "0001.png"}}],
        question="Colour?",
        answer="red",
        media=("image",),
    ),
    Shape(
        name="CSV of pictures",
        task="vqa",
        file="rows.csv",
        rows=[
            {
                **{"image_path": "a.png", "question": "Colour?", "option_a": "red", "option_b": "blue"},
                "correct_option": "a",
            }
        ],
        question="Colour?\nA. red\nB. blue",
        answer="A",
        choices={"A": "red", "B": "blue"},
        media=("image",),
    ),
    Shape(
        name="compressed lines",
        task="chart",
        file="rows.jsonl.gz",
        rows=[{"query": "How many?", "label": 4, "img": "a.png"}],
        question="How many?",
        answer="4",
        media=("image",),
    ),
]

NOT_ALONE = [
    Shape(
        name="MedMCQA",
        task="math",
        rows=[{"question": "Which?", "opa": "x", "opb": "y", "opc": "z", "opd": "w", "cop": 2, "exp": "…"}],
        flags={"answer": "cop"},
        question="Which?\nA. x\nB. y\nC. z\nD. w",
        answer="C",
        choices={"A": "x", "B": "y", "C": "z", "D": "w"},
    ),
    Shape(
        name="two pictures in columns of their own",
        task="vqa",
        rows=[{"question": "Same?", "answer": "no", "before": "a.png", "after": "b.png"}],
        flags={"images": ["before", "after"]},
        question="Same?",
        answer="no",
        media=("image", "image"),
    ),
]

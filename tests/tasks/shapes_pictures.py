"""Shapes of rows about pictures and charts."""

import datasets
from shape_parts import BASE64, STRUCT, URI, Shape

TEXT, NUMBER, IMAGE = datasets.Value("string"), datasets.Value("int64"), datasets.Image()
LETTERS = ["A", "B", "C", "D"]


def said(role: str, text: object) -> dict[str, object]:
    return {"role": role, "content": text}


def human(text: str) -> dict[str, str]:
    return {"from": "human", "value": text}


def gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


PICTURES = [
    Shape(
        name="LLaVA-Instruct",
        task="vqa",
        file="llava.json",
        rows=[
            {
                **{"id": "000000033471", "image": "a.png"},
                "conversations": [human("<image>\nWhat colour is it?"), gpt("Red."), human("And round?"), gpt("No.")],
            }
        ],
        question="And round?",
        answer="No.",
        media=("image",),
        roles=("user", "assistant", "user"),
    ),
    Shape(
        name="ShareGPT4V",
        task="vqa",
        rows=[{"id": "1", "image": "sub/c.jpg", "conversations": [human("Describe it.\n<image>"), gpt("A red square.")]}],
        question="Describe it.\n",
        answer="A red square.",
        media=("image",),
    ),
    Shape(
        name="ShareGPT with system (LLaMA-Factory)",
        task="vqa",
        rows=[{"conversations": [human("<image>Colour?"), gpt("red")], "system": "Be short.", "images": ["a.png"]}],
        question="Colour?",
        answer="red",
        media=("image",),
        roles=("system", "user"),
    ),
    Shape(
        name="LLaMA-Factory messages",
        task="vqa",
        rows=[{"messages": [said("user", "<image>Who?"), said("assistant", "Kane")], "images": ["a.png"]}],
        question="Who?",
        answer="Kane",
        media=("image",),
    ),
    Shape(
        name="LLaMA-Factory Alpaca",
        task="vqa",
        rows=[{"instruction": "Name the colour.", "input": "One word.", "output": "red", "images": ["a.png"]}],
        question="Name the colour.\nOne word.",
        answer="red",
        media=("image",),
    ),
    Shape(
        name="ms-swift GRPO",
        task="math",
        rows=[{"messages": [said("user", "<image>Find x.")], "images": ["a.png"], "solution": "<answer>7</answer>"}],
        question="Find x.",
        answer="7",
        media=("image",),
    ),
    Shape(
        name="OpenAI content parts",
        task="vqa",
        rows=[
            {
                "messages": [
                    said("system", "Look."),
                    said(
                        "user",
                        [
                            {"type": "text", "text": "What is it?"},
                            {"type": "image_url", "image_url": {"url": URI, "detail": "high"}},
                        ],
                    ),
                    said("assistant", [{"type": "text", "text": "a square"}]),
                ]
            }
        ],
        question="What is it?",
        answer="a square",
        media=("image",),
        roles=("system", "user"),
    ),
    Shape(
        name="OpenAI batch",
        task="vqa",
        rows=[
            {
                **{"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "answer": "red"},
                "body": {
                    "model": "m",
                    "messages": [
                        said("user", [{"type": "image_url", "image_url": {"url": URI}}, {"type": "text", "text": "?"}])
                    ],
                },
            }
        ],
        question="?",
        answer="red",
        media=("image",),
    ),
    Shape(
        name="Qwen cookbook",
        task="vqa",
        rows=[
            {
                "messages": [
                    said("user", [{"type": "image", "image": "file://FOLDER/a.png"}, {"type": "text", "text": "Read."}]),
                    said("assistant", "STOP"),
                ]
            }
        ],
        question="Read.",
        answer="STOP",
        media=("image",),
    ),
    Shape(
        name="The Cauldron",
        task="vqa",
        file="cauldron.parquet",
        features={
            "images": datasets.List(IMAGE),
            "texts": datasets.List({"user": TEXT, "assistant": TEXT, "source": TEXT}),
        },
        rows=[{"images": [STRUCT], "texts": [{"user": "Which?\nA. x", "assistant": "A", "source": "AI2D"}]}],
        question="Which?\nA. x",
        answer="A",
        media=("image",),
    ),
    Shape(
        name="MathVision",
        task="math",
        file="mathvision.parquet",
        features={
            **dict.fromkeys(("id", "question", "image", "answer", "solution", "subject"), TEXT),
            **{"options": datasets.List(TEXT), "decoded_image": IMAGE, "level": NUMBER},
        },
        rows=[
            {
                **{"id": "1", "question": "How many?\n<image1>", "options": [], "image": "images/1.jpg", "level": 2},
                **{"decoded_image": STRUCT, "answer": "7", "solution": None, "subject": "counting"},
            }
        ],
        question="How many?\n",
        answer="7",
        media=("image",),
    ),
    Shape(
        name="MathVista",
        task="math",
        file="mathvista.parquet",
        features={
            **dict.fromkeys(("pid", "question", "image", "answer", "unit", "question_type", "query"), TEXT),
            **{"choices": datasets.List(TEXT), "decoded_image": IMAGE, "precision": datasets.Value("float64")},
        },
        rows=[
            {
                **{"pid": "1", "question": "Which?", "image": "images/1.jpg", "decoded_image": STRUCT, "unit": None},
                **{"choices": ["145°", "125°"], "answer": "125°", "question_type": "multi_choice", "precision": None},
                "query": "Hint: Please answer …\nQuestion: Which?",
            }
        ],
        question="Which?\nA. 145°\nB. 125°",
        answer="B",
        choices={"A": "145°", "B": "125°"},
        media=("image",),
    ),
    Shape(
        name="MMMU",
        task="vqa",
        file="mmmu.parquet",
        features={
            **dict.fromkeys(("id", "question", "options", "explanation", "answer", "img_type", "question_type"), TEXT),
            **{f"image_{number}": IMAGE for number in range(1, 8)},
        },
        rows=[
            {
                **{"id": "validation_Art_1", "question": "Compare <image 1> with these.", "answer": "B"},
                **{"options": "['<image 2>', 'neither']", "explanation": "", "img_type": "['Paintings']"},
                **{"question_type": "multiple-choice", "image_1": STRUCT, "image_2": STRUCT},
                **{f"image_{number}": None for number in range(3, 8)},
            }
        ],
        question="Compare  with these.\nA. \nB. neither",
        answer="B",
        choices={"A": "<image 2>", "B": "neither"},
        media=("image", "image"),
    ),
    Shape(
        name="MMBench",
        task="vqa",
        file="mmbench.tsv",
        rows=[
            {
                **{"index": "241", "question": "Which?", "hint": "Look left.", "A": "cat", "B": "dog", "C": "", "D": ""},
                **{"answer": "B", "category": "c", "image": BASE64, "l2-category": "l2", "split": "dev"},
            }
        ],
        question="Look left.\nWhich?\nA. cat\nB. dog",
        answer="B",
        choices={"A": "cat", "B": "dog"},
        media=("image",),
    ),
    Shape(
        name="R1-V (clevr)",
        task="math",
        file="r1v.parquet",
        features={"image": IMAGE, "problem": TEXT, "solution": TEXT},
        rows=[{"image": STRUCT, "problem": "How many items?", "solution": "<answer> 3 </answer>"}],
        question="How many items?",
        answer="3",
        media=("image",),
    ),
    Shape(
        name="Geometry3K (verl)",
        task="math",
        file="geo3k.parquet",
        features={
            **{"data_source": TEXT, "ability": TEXT, "prompt": datasets.List({"role": TEXT, "content": TEXT})},
            **{"images": datasets.List(IMAGE), "problem": TEXT, "answer": TEXT},
            **{"reward_model": {"style": TEXT, "ground_truth": TEXT}},
            **{"extra_info": {"split": TEXT, "index": NUMBER, "answer": TEXT, "question": TEXT}},
        },
        rows=[
            {
                **{"data_source": "hiyouga/geometry3k", "ability": "math", "images": [STRUCT], "problem": "<image>x?"},
                **{"prompt": [said("user", "<image>x? Box it.")], "answer": "3", "extra_info": {"answer": "3"}},
                **{"reward_model": {"style": "rule", "ground_truth": "3"}},
            }
        ],
        question="x? Box it.",
        answer="3",
        media=("image",),
    ),
    Shape(
        name="verl with media objects",
        task="math",
        rows=[
            {
                **{"prompt": [said("user", "<image><image>Sum?")], "images": [{"image": "a.png"}, {"image": "b.png"}]},
                **{"reward_model": {"ground_truth": "5"}, "extra_info": {"index": 0}},
            }
        ],
        question="Sum?",
        answer="5",
        media=("image", "image"),
    ),
    Shape(
        name="TRL",
        task="math",
        rows=[
            {
                "prompt": [said("user", [{"type": "image"}, {"type": "text", "text": "Area?"}])],
                **{"images": ["a.png"], "solution": r"\boxed{12}"},
            }
        ],
        question="Area?",
        answer="12",
        media=("image",),
    ),
    Shape(
        name="DocVQA",
        task="vqa",
        file="docvqa.parquet",
        features={
            **{"questionId": TEXT, "question": TEXT, "image": IMAGE, "docId": NUMBER},
            **{"answers": datasets.List(TEXT), "data_split": TEXT},
        },
        rows=[
            {
                **{"questionId": "1", "question": "Date?", "image": STRUCT, "docId": 4},
                **{"answers": ["1/8/93", "1 / 8 / 93"], "data_split": "val"},
            }
        ],
        question="Date?",
        answer="1/8/93",
        media=("image",),
    ),
    Shape(
        name="ChartQA",
        task="chart",
        file="chartqa.parquet",
        features={"image": IMAGE, "query": TEXT, "label": datasets.List(TEXT), "human_or_machine": NUMBER},
        rows=[{"image": STRUCT, "query": "How many?", "label": ["14"], "human_or_machine": 0}],
        question="How many?",
        answer="14",
        media=("image",),
    ),
    Shape(
        name="TextVQA",
        task="vqa",
        file="textvqa.parquet",
        features={
            **{"image_id": TEXT, "question_id": NUMBER, "question": TEXT, "image": IMAGE, "image_width": NUMBER},
            **{"flickr_original_url": TEXT, "answers": datasets.List(TEXT), "set_name": TEXT},
        },
        rows=[
            {
                **{"image_id": "003a", "question_id": 1, "question": "Brand?", "image": STRUCT, "image_width": 8},
                **{"flickr_original_url": "https://c.example/1_o.jpg", "answers": ["nokia"] * 10, "set_name": "train"},
            }
        ],
        question="Brand?",
        answer="nokia",
        media=("image",),
    ),
]

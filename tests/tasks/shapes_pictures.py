"""Shapes of rows about pictures and charts."""

import datasets
from shape_parts import STRUCT, URI, Shape

TEXT, NUMBER, IMAGE = datasets.Value("string"), datasets.Value("int64"), datasets.Image()


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
        rows=[
            {"id": "1", "image": "sub/c.jpg", "conversations": [human("Describe it.\n<image>"), gpt("A red square.")]}
        ],
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
                    said(
                        "user", [{"type": "image", "image": "file://FOLDER/a.png"}, {"type": "text", "text": "Read."}]
                    ),
                    said("assistant", "STOP"),
                ]
            }
        ],
        question="Read.",
        answer="STOP",
        media=("image",),
    ),
    Shape(
        name="llava-instruct-mix-vsft (TRL)",
        task="vqa",
        rows=[
            {
                "messages": [
                    said(
                        "user",
                        [
                            {"index": None, "text": "Is", "type": "text"},
                            {"index": 1, "text": None, "type": "image"},
                            {"index": None, "text": "like", "type": "text"},
                            {"index": 0, "text": None, "type": "image"},
                        ],
                    ),
                    said("assistant", [{"index": None, "text": "yes", "type": "text"}]),
                ],
                "images": ["a.png", "b.png"],
            }
        ],
        question="Islike",
        answer="yes",
        media=("image", "image"),
    ),
    Shape(
        name="MM-Eureka",
        task="math",
        rows=[
            {
                **{"id": "1", "answer": "4", "image_urls": ["a.png"]},
                "conversations": '[{"role": "system", "content": "s"}, {"role": "user", "content": "<image>x?"}]',
            }
        ],
        question="x?",
        answer="4",
        media=("image",),
        roles=("system", "user"),
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
]

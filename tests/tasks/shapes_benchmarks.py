"""Shapes of the field's benchmarks and training sets of pictures, with the types that they have on the hub."""

import datasets
from shape_parts import BASE64, STRUCT, Shape
from shapes_pictures import IMAGE, NUMBER, TEXT, said

BENCHMARKS = [
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
                **{
                    "index": "241",
                    "question": "Which?",
                    "hint": "Look left.",
                    "A": "cat",
                    "B": "dog",
                    "C": "",
                    "D": "",
                },
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

CHOICES = [
    Shape(
        name="VQAv2",
        task="vqa",
        file="vqav2.parquet",
        features={
            **{"question_type": TEXT, "multiple_choice_answer": TEXT, "image_id": NUMBER, "answer_type": TEXT},
            "answers": datasets.List({"answer": TEXT, "answer_confidence": TEXT, "answer_id": NUMBER}),
            **{"question_id": NUMBER, "question": TEXT, "image": IMAGE},
        },
        rows=[
            {
                **{"question": "Is it red?", "question_type": "is it", "multiple_choice_answer": "yes", "image_id": 9},
                "answers": [
                    {"answer": text, "answer_confidence": "yes", "answer_id": number}
                    for number, text in enumerate(["yes"] * 9 + ["no"])
                ],
                **{"answer_type": "yes/no", "question_id": 1, "image": STRUCT},
            }
        ],
        question="Is it red?",
        answer="yes",
        media=("image",),
    ),
    Shape(
        name="A-OKVQA",
        task="vqa",
        file="aokvqa.parquet",
        features={
            **{"image": IMAGE, "question_id": TEXT, "question": TEXT, "choices": datasets.List(TEXT)},
            **{"correct_choice_idx": NUMBER, "direct_answers": TEXT, "difficult_direct_answer": datasets.Value("bool")},
            "rationales": datasets.List(TEXT),
        },
        rows=[
            {
                **{"image": STRUCT, "question_id": "q", "question": "Motorcycle make?", "choices": ["honda", "bmw"]},
                **{"correct_choice_idx": 1, "direct_answers": "['bmw']", "difficult_direct_answer": False},
                "rationales": ["x"],
            }
        ],
        question="Motorcycle make?\nA. honda\nB. bmw",
        answer="B",
        choices={"A": "honda", "B": "bmw"},
        media=("image",),
    ),
    Shape(
        name="ScienceQA",
        task="vqa",
        file="scienceqa.parquet",
        features={
            **{"image": IMAGE, "question": TEXT, "choices": datasets.List(TEXT), "answer": NUMBER, "hint": TEXT},
            **{"task": TEXT, "grade": TEXT, "lecture": TEXT, "solution": TEXT},
        },
        rows=[
            {
                **{"image": STRUCT, "question": "Which is north?", "choices": ["Maine", "Iowa"], "answer": 0},
                **{"hint": "", "task": "closed choice", "grade": "grade2", "lecture": "Maps.", "solution": "Look."},
            }
        ],
        question="Which is north?\nA. Maine\nB. Iowa",
        answer="A",
        choices={"A": "Maine", "B": "Iowa"},
        media=("image",),
    ),
]

"""The model over vLLM: the same answers as over transformers, and what only vLLM can get wrong."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm")
pytest.importorskip("lmms_eval")

from model_parts import GREEDY, SAMPLED, asking, requests_of, serve, texts, write_text_model
from PIL import Image

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.evaluation.lmms_model import UniopdVLLM
from uniopd_mm.evaluation.model_loading import load_engine_model

OPTIONS = VLLMOptions(dtype="float32", enforce_eager=True, kv_cache_mb=64, max_model_len=256)
PICTURE = {"type": "image", "url": Image.linear_gradient("L").convert("RGB").resize((64, 96))}
QUESTIONS = [
    asking("Which way does the red square move?"),
    asking("How many?", PICTURE),
    [{"role": "system", "content": "Reason first."}, *asking("Why?")],
]


@pytest.fixture(scope="module")
def model(checkpoint: str) -> EngineModel:
    return load_engine_model("vllm", checkpoint, options=OPTIONS)


@pytest.fixture
def asked(model: EngineModel) -> EngineModel:
    model.reset()
    return serve(model, QUESTIONS)


def test_greedy_answers_are_those_of_transformers(asked: EngineModel, checkpoint: str) -> None:
    other = serve(load_engine_model("hf", checkpoint), QUESTIONS)
    requests = requests_of(GREEDY, range(3), repeats=2)
    assert texts(asked.generate_until(requests)) == texts(other.generate_until(requests))
    assert asked.stats == other.stats


def test_fault_9_token_limits_and_stop_strings_are_the_tasks(asked: EngineModel) -> None:
    (whole,) = asked.generate_until(requests_of({**GREEDY, "max_new_tokens": 16}, [0]))
    assert whole.token_counts.output_tokens <= 16
    stop = whole.text[6:8]
    (cut,) = asked.generate_until(requests_of({**GREEDY, "max_new_tokens": 16, "until": [stop]}, [0]))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.token_counts.output_tokens < whole.token_counts.output_tokens


def test_several_responses_depend_on_seed_and_question_alone(asked: EngineModel) -> None:
    first = texts(asked.generate_until(requests_of(SAMPLED, range(3), repeats=4)))
    assert texts(asked.generate_until(requests_of(SAMPLED, [1], repeats=4))) == first[4:8]
    assert len(set(first)) > 8
    asked.policy_step = 1
    assert texts(asked.generate_until(requests_of(SAMPLED, [1], repeats=4))) != first[4:8]
    asked.policy_step = 0


def test_a_prompt_that_vllm_has_no_room_for_is_named_and_the_rest_goes_on(asked: EngineModel) -> None:
    serve(asked, [QUESTIONS[0], asking("Why? " * 400)])
    answers = texts(asked.generate_until(requests_of(GREEDY, range(2))))
    assert answers[0] and not answers[1]
    assert "at most 255 can be read" in asked.stats.unreadable[0].reason


def test_a_text_only_model_from_the_command_lines_arguments(tmp_path: Path) -> None:
    given: dict[str, Any] = {"dtype": "float32", "enforce_eager": True, "max_model_len": "none", "kv_cache_mb": 64}
    path = write_text_model(tmp_path)
    arguments = ",".join(f"{name}={value}" for name, value in {"pretrained": path, **given}.items())
    model = UniopdVLLM.create_from_arg_string(arguments, {"batch_size": "1", "device": None})
    assert model.max_prompt_tokens == 1023
    serve(model, [QUESTIONS[0], QUESTIONS[2]])
    requests = requests_of(GREEDY, range(2))
    other = serve(load_engine_model("hf", path), [QUESTIONS[0], QUESTIONS[2]])
    assert texts(model.generate_until(requests)) == texts(other.generate_until(requests))

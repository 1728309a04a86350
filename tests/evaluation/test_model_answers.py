"""The model that lmms-eval asks, on transformers' generation and a tiny Qwen3-VL."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("lmms_eval")

from model_parts import GREEDY, SAMPLED, SPLIT, TASK, Recorder, asking, requests_of, serve, texts, write_text_model

from uniopd_mm.evaluation.engine_model import EngineModel, ResponseStats
from uniopd_mm.evaluation.model_loading import load_engine_model
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.types import Media, Sample, UserError

QUESTIONS = [asking(f"Which way does the {color} square move?") for color in ("red", "green", "blue", "black")]


def picture(width: int = 64, height: int = 96) -> dict[str, Any]:
    return {"type": "image", "url": Image.new("RGB", (width, height), (10, 200, 30))}


def clip_of(samples: Sequence[Sample]) -> dict[str, Any]:
    """A real MP4."""
    (medium,) = [item for item in samples[0].messages[-1].content if isinstance(item, Media)]
    return {"type": "video", "url": str(medium.source)}


@pytest.fixture
def recorder(backbone: Backbone, processor: QwenVLProcessor) -> Recorder:
    return Recorder(HFRollout(backbone, processor))


@pytest.fixture
def model(recorder: Recorder, processor: QwenVLProcessor) -> EngineModel:
    return serve(EngineModel(recorder, processor), QUESTIONS)


def test_repeated_requests_are_one_prompt_with_several_responses(model: EngineModel, recorder: Recorder) -> None:
    results = model.generate_until(requests_of(SAMPLED, range(4), repeats=3))
    ((prompts, num_samples, sampling),) = recorder.calls
    assert (len(prompts), num_samples, sampling.temperature, sampling.max_new_tokens) == (4, 3, 1.0, 6)
    assert [prompt.sample.sample_id for prompt in prompts] == [f"{TASK}/{index}" for index in range(4)]
    assert len(set(texts(results))) > 8  # twelve responses of an untrained model
    assert model.stats.num_responses == 12


def test_greedy_repeats_are_computed_once(model: EngineModel, recorder: Recorder) -> None:
    results = texts(model.generate_until(requests_of(GREEDY, range(2), repeats=3)))
    assert recorder.calls[0][1] == 1
    assert results[:3] == results[:1] * 3 and results[3:] == results[3:4] * 3
    assert model.stats.num_responses == 6


def test_results_stand_where_their_requests_do_whatever_their_settings(model: EngineModel, recorder: Recorder) -> None:
    longer = {**GREEDY, "max_new_tokens": 9}
    expected = {
        **{("short", i): t for i, t in enumerate(texts(model.generate_until(requests_of(GREEDY, range(4)))))},
        **{("long", i): t for i, t in enumerate(texts(model.generate_until(requests_of(longer, range(4)))))},
    }
    recorder.calls.clear()
    mixed = [*requests_of(longer, [2]), *requests_of(GREEDY, [0, 3]), *requests_of(longer, [1])]
    found = texts(model.generate_until(mixed))
    assert found == [expected[key] for key in (("long", 2), ("short", 0), ("short", 3), ("long", 1))]
    assert [(len(prompts), sampling.max_new_tokens) for prompts, _, sampling in recorder.calls] == [(2, 9), (2, 6)]


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_responses_depend_on_seed_step_and_question_alone(
    model: EngineModel, recorder: Recorder, processor: QwenVLProcessor, chunk: int
) -> None:
    def written(documents: Sequence[int], **options: Any) -> list[str]:
        other = EngineModel(recorder, processor, prompts_per_chunk=chunk, **options)
        return texts(serve(other, QUESTIONS).generate_until(requests_of(SAMPLED, documents, repeats=2)))

    base = texts(model.generate_until(requests_of(SAMPLED, range(4), repeats=2)))
    assert written(range(4)) == base
    assert written([2]) == base[4:6]
    assert written(range(4), seed=1) != base and written(range(4), policy_step=1) != base


def test_fault_9_responses_are_as_long_as_the_task_says(model: EngineModel) -> None:
    for limit in (1, 5):
        model.reset()
        results = model.generate_until(requests_of({**GREEDY, "max_new_tokens": limit}, range(4)))
        assert max(result.token_counts.output_tokens for result in results) <= limit
        lengths = [result.token_counts.output_tokens for result in results]
        assert model.stats.response_tokens == sum(lengths)
        assert model.stats.truncated == lengths.count(limit)


def test_fault_9_stop_strings_end_a_response_and_are_cut_from_it(model: EngineModel) -> None:
    (whole,) = texts(model.generate_until(requests_of({**GREEDY, "max_new_tokens": 24}, [0])))
    stop = whole[8:10]
    model.reset()
    (cut,) = model.generate_until(requests_of({**GREEDY, "max_new_tokens": 24, "until": [stop]}, [0]))
    assert cut.text == whole[: whole.index(stop)] and stop not in cut.text
    assert cut.token_counts.output_tokens < 24 and model.stats.truncated == 0


def test_media_are_read(model: EngineModel, recorder: Recorder, samples: Sequence[Sample]) -> None:
    serve(model, [asking("How many?", picture()), asking("Which way?", clip_of(samples)), asking("Which?")])
    assert len(model.generate_until(requests_of(GREEDY, range(3)))) == 3
    (prompts, _, _) = recorder.calls[0]
    assert [sorted(prompt.engine_media) for prompt in prompts] == [["image"], ["video"], []]
    assert model.stats.unreadable == ()


def test_a_benchmarks_budgets_reach_the_decoder(
    model: EngineModel, recorder: Recorder, samples: Sequence[Sample]
) -> None:
    small = {**picture(256, 256), "max_pixels": 64 * 64}
    short = {**clip_of(samples), "num_frames": 2}
    serve(model, [asking("a", picture(256, 256)), asking("b", small), asking("c", short)])
    model.generate_until(requests_of(GREEDY, range(3)))
    large, bounded, clip = recorder.calls[0][0]
    assert bounded.media["image_grid_thw"].prod() < large.media["image_grid_thw"].prod()
    assert clip.media["video_grid_thw"][0, 0] == 1  # two frames in one patch of time


def test_fault_8_a_tasks_system_message_is_kept(
    recorder: Recorder, model: EngineModel, processor: QwenVLProcessor, checkpoint: str
) -> None:
    own = QwenVLProcessor(checkpoint, system_prompt="Ours")
    system = {"role": "system", "content": "Reason first."}
    for chosen in (processor, own):
        serve(EngineModel(recorder, chosen), [[system, *QUESTIONS[0]]]).generate_until(requests_of(GREEDY, [0]))
        prompt = "".join(chosen.pieces(recorder.calls[-1][0][0].token_ids))
        assert prompt.startswith("<|im_start|>system\nReason first.<|im_end|>") and "Ours" not in prompt
    serve(EngineModel(recorder, own), QUESTIONS).generate_until(requests_of(GREEDY, [0]))
    assert "".join(own.pieces(recorder.calls[-1][0][0].token_ids)).startswith("<|im_start|>system\nOurs<|im_end|>")


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    model: EngineModel, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = texts(model.generate_until(requests_of(GREEDY, range(4), repeats=2)))
    model.reset()
    missing = asking("Which way?", {"type": "video", "url": "/no/such.mp4"})
    broken: Any = [{"role": "user"}]
    serve(model, [QUESTIONS[0], missing, QUESTIONS[2], broken])
    found = texts(model.generate_until(requests_of(GREEDY, range(4), repeats=2)))
    assert found == [*asked[:2], "", "", *asked[4:6], "", ""]
    reasons = {skip.where: skip.reason for skip in model.stats.unreadable}
    assert reasons == {f"{TASK}/1": "/no/such.mp4: no such file", f"{TASK}/3": "KeyError: 'content'"}
    assert model.stats.num_responses == 4
    said = "".join(capsys.readouterr())
    assert "2 of 4 questions cannot be read" in " ".join(said.split())


def test_a_task_that_would_end_the_program_is_one_question_less(model: EngineModel) -> None:
    requests = requests_of(GREEDY, range(2))

    def leaving(document: Any) -> Any:
        raise SystemExit("video path does not exist")

    requests[0].arguments = ("", leaving, *requests[0].arguments[2:])
    assert texts(model.generate_until(requests))[0] == ""
    assert model.stats.unreadable[0].reason == "SystemExit: video path does not exist"


def test_a_prompt_that_is_too_long_is_not_asked(model: EngineModel) -> None:
    longest = len(model.processor.encode(_sample(QUESTIONS[0])).token_ids)
    model.max_prompt_tokens = longest
    serve(model, [QUESTIONS[0], asking("Why? " * 40)])
    answers = texts(model.generate_until(requests_of(GREEDY, range(2))))
    assert answers[0] and not answers[1]
    assert f"at most {longest} can be read" in model.stats.unreadable[0].reason


def test_questions_are_counted_as_they_are_answered(model: EngineModel) -> None:
    told: list[int] = []
    model.on_progress = told.append
    serve(model, [*QUESTIONS, asking("?", {"type": "audio", "url": "/a.wav"})])
    model.generate_until(requests_of(SAMPLED, range(5), repeats=2))
    assert sum(told) == 5 and len(told) > 2


def test_reading_is_one_chunk_ahead_and_no_more(recorder: Recorder, processor: QwenVLProcessor) -> None:
    read: list[int] = []
    chunk, ahead = 2, []

    class Documents(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return QUESTIONS[0]

    model = serve(EngineModel(recorder, processor, prompts_per_chunk=chunk), Documents())
    recorder.before = lambda: ahead.append(len(read) - chunk * len(recorder.calls))
    model.generate_until(requests_of(GREEDY, range(10)))
    assert read == list(range(10)) and len(recorder.calls) == 5
    assert max(ahead) <= 2 * chunk


def test_cleaning_up_leaves_a_live_student_alone(model: EngineModel, backbone: Backbone) -> None:
    model.student = backbone  # type: ignore[attr-defined]
    model.clean()
    assert model.student is backbone and texts(model.generate_until(requests_of(GREEDY, [0])))  # type: ignore[attr-defined]


def test_reset_begins_to_count_anew(model: EngineModel) -> None:
    model.generate_until(requests_of(GREEDY, range(2)))
    before = model.stats
    model.reset()
    assert model.stats == ResponseStats() and before == replace(before, num_responses=2)


def test_other_requests_are_refused(model: EngineModel) -> None:
    requests = requests_of(GREEDY, [0])
    with pytest.raises(UserError, match=f"{TASK}: output_type=generate_until: .* support only generate_until"):
        model.loglikelihood(requests)


def test_a_text_only_model_reads_text_only(tmp_path: Any) -> None:
    model = load_engine_model("hf", write_text_model(tmp_path))
    serve(model, [QUESTIONS[0], asking("How many?", picture())])
    answers = texts(model.generate_until(requests_of(GREEDY, range(2))))
    assert answers[0] and answers[1] == ""
    assert "reads text only" in model.stats.unreadable[0].reason
    assert model.task_dict[TASK][SPLIT]


def test_evaluation_in_bfloat16_has_weights_in_bfloat16(checkpoint: str) -> None:
    model = load_engine_model("hf", checkpoint, dtype="bfloat16")
    assert isinstance(model.engine, HFRollout)
    assert {parameter.dtype for parameter in model.engine.backbone.parameters()} == {torch.bfloat16}
    serve(model, [asking("How many?", picture())])
    assert model.generate_until(requests_of(GREEDY, [0]))[0].token_counts.output_tokens > 0


def test_what_cannot_be_opened_is_refused(checkpoint: str) -> None:
    with pytest.raises(UserError, match=r"engine=sglang: no such engine; choose hf or vllm"):
        load_engine_model("sglang", checkpoint)
    with pytest.raises(UserError, match=r"dtype=float16: no such dtype; choose bfloat16 or float32"):
        load_engine_model("hf", checkpoint, dtype="float16")


def _sample(messages: Any) -> Sample:
    from uniopd_mm.evaluation.messages import sample_of

    return sample_of(messages, "s", "d")


@pytest.mark.parametrize(("ending", "begun"), [("assistant\n<think>\n", True), ("<think>\n\n</think>\n\n", False)])
def test_thoughts_that_the_template_has_begun_begin_the_response(
    recorder: Recorder, processor: QwenVLProcessor, ending: str, begun: bool
) -> None:
    class Templated:
        """A processor whose prompts end so."""

        encode = staticmethod(processor.encode)
        decode = staticmethod(processor.decode)

        def pieces(self, ids: torch.Tensor) -> list[str]:
            return [ending] if len(ids) == 8 else processor.pieces(ids)

    plain, thinking = (
        texts(serve(EngineModel(recorder, one), QUESTIONS).generate_until(requests_of(GREEDY, range(2))))
        for one in (processor, Templated())
    )
    assert thinking == [f"<think>{text}" if begun else text for text in plain]

"""The built-in zoo: small checkpoints, taught on the spot from demonstrations, for machines without a hub or a GPU.

`grow` is the builder of `model=tiny` and `teacher=tiny_expert`. It imitates a generator's demonstrations until a wanted
share of held-out ones is answered as shown, and keeps the checkpoint in the user's cache folder under a hash of what
made it. What comes out is an ordinary checkpoint folder. Leaves out everything a serious pre-training does.
"""

import builtins
import hashlib
import inspect
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Protocol, final

import torch
import transformers
from filelock import FileLock

from uniopd_mm.backbone import Backbone, load_model
from uniopd_mm.cache import made_cache_folder
from uniopd_mm.data.collate import collate_rollouts, to_device
from uniopd_mm.data.prompts import encode
from uniopd_mm.data.walk import Walk
from uniopd_mm.interfaces import Processor, SampleSource
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.tracking.console import Bar, progress
from uniopd_mm.types import FinishReason, Prompt, Rollout, Sample, Sampling, Skip, UserError

MAX_PROMPT_TOKENS = 4096


class Architecture(Protocol):
    """Something that writes an untrained checkpoint. Its repr says all that it depends on."""

    def write(self, folder: Path, texts: Sequence[str], seed: int) -> None:
        """A checkpoint folder with a tokenizer made from `texts` and weights drawn from `seed`."""
        ...


@final
@dataclass(frozen=True, kw_only=True)
class Schooling:
    """How to imitate the demonstrations of `split`, in batches: until `accuracy` of the held-out ones are answered as
    shown, or for `max_steps` where no accuracy is asked for. `cooldown_steps` follow, while the learning rate falls to
    0, once the accuracy is reached. `num_lessons` takes that many from the front of the split, of which `num_checked`
    are held out."""

    accuracy: float | None
    max_steps: int = 800
    split: str = "pretrain"
    num_lessons: int | None = None
    batch_size: int = 48
    learning_rate: float = 2e-3
    warmup_steps: int = 20
    cooldown_steps: int = 0
    check_every: int = 20
    num_checked: int = 200
    max_new_tokens: int = 32
    seed: int = 0


def grow(
    *,
    name: str,
    generator: SampleSource | None,
    schooling: Schooling,
    processor: Callable[[str], Processor],
    architecture: Architecture | None = None,
    base: str | None = None,
) -> str:
    """The checkpoint folder, made on first use: from an untrained `architecture`, or going on from the folder `base`.

    Two processes that need it at once make it once; one that is interrupted leaves nothing behind that looks whole.

    Raises:
        UserError: the wanted accuracy is out of reach, there is nothing to learn from, or neither or both of
            `architecture` and `base` are given.
    """
    if generator is None:
        raise UserError(f"builder of {name}: this task has no `synthetic` generator to learn from; give a checkpoint")
    if (architecture is None) == (base is None):
        raise UserError(f"builder of {name}: give either `architecture` or `base`, not both and not neither")
    key = _key(name, generator, schooling, processor, architecture, base)
    folder = made_cache_folder("zoo") / f"{name}_{key}"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            _remove_interrupted(folder)
            with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as scratch:
                made = Path(scratch) / "checkpoint"
                _make(made, name, generator, schooling, processor, architecture, base)
                made.replace(folder)
    return str(folder)


@final
@dataclass(frozen=True, kw_only=True)
class School:
    """One student of the zoo and what it learns from: encoded demonstrations, some of which are held out."""

    backbone: Backbone
    processor: Processor
    schooling: Schooling
    lessons: Sequence[Rollout]
    exam: Sequence[Prompt]
    order: Walk = field(repr=False)

    @cached_property
    def engine(self) -> HFRollout:
        return HFRollout(self.backbone, self.processor, max_batch_size=100)

    def accuracy(self) -> float:
        """Share of held-out prompts answered, greedily, word for word as demonstrated."""
        sampling = Sampling(temperature=0, max_new_tokens=self.schooling.max_new_tokens, seed=0, policy_step=0)
        groups = self.engine.generate(self.exam, 1, sampling)
        right = [self.processor.decode(group[0].response_ids) == _lesson(group[0].prompt.sample) for group in groups]
        return sum(right) / len(right)

    def loss(self, lessons: Sequence[Rollout]) -> torch.Tensor:
        """Mean negative log-likelihood of the responses' tokens."""
        pad_id = self.processor.vocabulary.pad_id
        tokens = to_device(collate_rollouts(lessons, pad_id), self.backbone.device)
        logprobs, *_ = self.backbone(tokens, temperature=1.0)
        return -logprobs.sum() / tokens.loss_mask.sum()


def _remove_interrupted(folder: Path) -> None:
    """What a killed build of the same checkpoint left; its lock is ours now, so nobody is at it."""
    for scratch in folder.parent.glob(f"{folder.name}.*/"):
        shutil.rmtree(scratch)


def _make(
    folder: Path,
    name: str,
    generator: SampleSource,
    schooling: Schooling,
    processor: Callable[[str], Processor],
    architecture: Architecture | None,
    base: str | None,
) -> None:
    samples = generator.samples(schooling.split)[: schooling.num_lessons]
    if not 0 < schooling.num_checked < len(samples):
        raise UserError(
            f"builder of {name}: schooling.num_checked={schooling.num_checked} of {len(samples)} demonstrations; "
            "some must be held out and some left to learn from"
        )
    if architecture is not None:
        architecture.write(folder, [_text(sample) for sample in samples], schooling.seed)
    source = base or str(folder)
    school = _school(Backbone(load_model(source, f"builder of {name}")), processor(source), schooling, samples)
    _teach(school, name)
    school.backbone.model.save_pretrained(folder)
    school.processor.save(folder)


def _school(backbone: Backbone, processor: Processor, schooling: Schooling, samples: Sequence[Sample]) -> School:
    with progress("reading clips and questions", len(samples), transient=True) as bar:
        rollouts = [_demonstration(processor, sample, bar) for sample in samples]
    return School(
        backbone=backbone,
        processor=processor,
        schooling=schooling,
        lessons=rollouts[schooling.num_checked :],
        exam=[rollout.prompt for rollout in rollouts[: schooling.num_checked]],
        order=Walk(samples[schooling.num_checked :], schooling.seed),
    )


def _teach(school: School, name: str) -> None:
    """AdamW until the wanted accuracy, checked every few steps, and a little further to let the weights settle."""
    plan, learn = school.schooling, _learner(school)
    accuracy, wanted = 0.0, plan.accuracy
    with progress(f"teaching {name}" + (f" until {wanted:.1%}" if wanted else ""), plan.max_steps) as bar:
        for step in range(1, plan.max_steps + 1):
            loss = learn(min(1.0, step / plan.warmup_steps))
            if wanted and step % plan.check_every == 0:
                accuracy = school.accuracy()
            bar.advance(status=f"loss {loss:.3f}" + (f"  accuracy {accuracy:.2f}" if wanted else ""))
            if wanted and accuracy >= wanted:
                for left in range(plan.cooldown_steps, 0, -1):
                    learn(left / (plan.cooldown_steps + 1))
                return
    if wanted:
        raise UserError(
            f"builder of {name}: accuracy={accuracy:.3f} after max_steps={plan.max_steps}, wanted {wanted}; "
            "raise schooling.max_steps or lower schooling.accuracy"
        )


def _learner(school: School) -> Callable[[float], float]:
    """A function that learns the next batch, at a share of the learning rate, and returns its loss."""
    plan, backbone = school.schooling, school.backbone
    lessons = {id(lesson.prompt.sample): lesson for lesson in school.lessons}
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)

    def learn(share: float) -> float:
        optimizer.param_groups[0]["lr"] = plan.learning_rate * share
        loss = school.loss([lessons[id(school.order.next())] for _ in range(plan.batch_size)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(backbone.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return learn


def _demonstration(processor: Processor, sample: Sample, bar: Bar) -> Rollout:
    prompt = encode(processor, sample, MAX_PROMPT_TOKENS)
    if isinstance(prompt, Skip):
        raise UserError(f"{prompt.where}: {prompt.reason}; remove the synthetic set there, it is made anew")
    ids = processor.encode_response(_lesson(sample))
    bar.advance()
    return Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=ids,
        logprobs=torch.zeros(len(ids)),
        finish_reason=FinishReason.STOP,
        policy_step=0,
    )


def _lesson(sample: Sample) -> str:
    if sample.demonstration is None:
        raise UserError(f"{sample.source}: no demonstration to imitate; choose a generator that gives some")
    return sample.demonstration


def _text(sample: Sample) -> str:
    """Everything of a sample that a tokenizer should know."""
    parts = [part for message in sample.messages for part in message.content if isinstance(part, str)]
    return "\n".join([*parts, _lesson(sample)])


def _key(
    name: str,
    generator: SampleSource,
    schooling: Schooling,
    processor: Callable[[str], Processor],
    architecture: object,
    base: str | None,
) -> str:
    """A hash of the parts' parameters, the code they are of, and the libraries that run it."""
    sources = sorted({inspect.getsource(module) for part in (generator, architecture) for module in _modules(part)})
    made_of = [name, generator, schooling, processor, architecture, base, torch.__version__, transformers.__version__]
    text = "\n".join([*map(repr, made_of), *sources, inspect.getsource(inspect.getmodule(grow))])  # type: ignore[arg-type]
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _modules(part: object) -> set[ModuleType]:
    """The modules of a part's class, and of the parts that it is made of."""
    if isinstance(part, Mapping):
        return {module for entry in part.values() for module in _modules(entry)}
    own = inspect.getmodule(type(part))
    nested = [getattr(part, entry.name) for entry in fields(part)] if is_dataclass(part) else []
    further = {
        module for entry in nested if is_dataclass(entry) or isinstance(entry, Mapping) for module in _modules(entry)
    }
    return further if own is None or own is builtins else further | {own}

"""The built-in zoo: small checkpoints, trained on the spot from demonstrations, for machines without a hub or a GPU.

`make_checkpoint` is the builder of `model=tiny` and `teacher=tiny_expert`. It fine-tunes on a generator's
demonstrations until the model reproduces a given share of the held-out ones, and keeps the checkpoint in the user's
cache folder under a hash of what made it. The result is an ordinary checkpoint folder.
"""

import builtins
import hashlib
import inspect
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, final

import torch
import transformers
from filelock import FileLock

from uniopd_mm.data.collate import collate_rollouts, to_device
from uniopd_mm.data.epochs import EpochOrder
from uniopd_mm.data.prompts import encode
from uniopd_mm.interfaces import Processor, SampleSource
from uniopd_mm.models.backbone import Backbone, load_backbone
from uniopd_mm.runtime.cache import made_cache_folder
from uniopd_mm.tracking.console import Bar, progress
from uniopd_mm.types import FinishReason, Rollout, Sample, Skip, TokenBatch, UserError

MAX_PROMPT_TOKENS = 4096
CHECKED_AT_ONCE = 100  # held-out demonstrations in one forward pass


class Architecture(Protocol):
    """Writes an untrained checkpoint. Its repr holds everything the checkpoint depends on."""

    def write(self, folder: Path, texts: Sequence[str], seed: int) -> None:
        """A checkpoint folder with a tokenizer made from `texts` and weights drawn from `seed`."""
        ...


@final
@dataclass(frozen=True, kw_only=True)
class SFTOptions:
    """Supervised fine-tuning on the demonstrations of `split`.

    Training stops when the model reproduces a share `accuracy` of the held-out demonstrations, or after `max_steps`
    where `accuracy` is None. Then `cooldown_steps` follow, during which the learning rate falls to 0, if the accuracy
    was reached. `num_demonstrations` takes that many from the front of the split (None: all), and `num_checked` of
    these are held out.
    """

    accuracy: float | None
    max_steps: int = 800
    split: str = "pretrain"
    num_demonstrations: int | None = None
    batch_size: int = 48
    learning_rate: float = 2e-3
    warmup_steps: int = 20
    cooldown_steps: int = 0
    check_every: int = 20
    num_checked: int = 200
    seed: int = 0


def make_checkpoint(
    *,
    name: str,
    generator: SampleSource | None,
    sft: SFTOptions,
    processor: Callable[[str], Processor],
    architecture: Architecture | None = None,
    base: str | None = None,
) -> str:
    """Return the checkpoint folder; train it on first use.

    Training starts from an untrained `architecture`, or from the checkpoint folder `base`. If two processes need the
    same checkpoint, it is made once. An interrupted build leaves nothing that looks complete.

    Raises:
        UserError: the accuracy is out of reach, there are no demonstrations, or not exactly one of `architecture` and
            `base` is given.
    """
    if Path(name).name != name:
        raise UserError(f"builder of {name}: its name is part of a file name; leave out the slashes")
    if generator is None:
        raise UserError(f"builder of {name}: this task has no `synthetic` generator to learn from; give a checkpoint")
    if (architecture is None) == (base is None):
        raise UserError(f"builder of {name}: give either `architecture` or `base`, not both and not neither")
    key = _key(name, generator, sft, processor, architecture, base)
    folder = made_cache_folder("zoo") / f"{name}_{key}"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            _remove_interrupted(folder)
            with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as scratch:
                made = Path(scratch) / "checkpoint"
                _make(made, name, generator, sft, processor, architecture, base)
                made.replace(folder)
    return str(folder)


@final
@dataclass(frozen=True, kw_only=True)
class SFTRun:
    """One model of the zoo and its demonstrations, encoded; some of them are held out."""

    backbone: Backbone
    processor: Processor
    sft: SFTOptions
    demonstrations: Sequence[Rollout]
    held_out: Sequence[Rollout]
    order: EpochOrder = field(repr=False)

    @torch.no_grad()
    def accuracy(self) -> float:
        """Share of held-out demonstrations of which every token is the likeliest: those that greedy decoding writes."""
        reproduced = 0
        for start in range(0, len(self.held_out), CHECKED_AT_ONCE):
            tokens = self._collated(self.held_out[start : start + CHECKED_AT_ONCE])
            _, _, likeliest = self.backbone(tokens, temperature=1.0)
            wrong = torch.zeros_like(tokens.input_ids)
            wrong[tokens.loss_mask] = (likeliest != tokens.input_ids[tokens.loss_mask]).long()
            reproduced += int((wrong.sum(-1) == 0).sum())
        return reproduced / len(self.held_out)

    def loss(self, demonstrations: Sequence[Rollout]) -> torch.Tensor:
        """Mean negative log-likelihood of the responses' tokens."""
        tokens = self._collated(demonstrations)
        logprobs, *_ = self.backbone(tokens, temperature=1.0)
        return -logprobs.sum() / tokens.loss_mask.sum()

    def _collated(self, demonstrations: Sequence[Rollout]) -> TokenBatch:
        tokens = collate_rollouts(demonstrations, self.processor.vocabulary.pad_id)
        return to_device(tokens, self.backbone.device)


def _remove_interrupted(folder: Path) -> None:
    """Remove what a killed build of the same checkpoint left. We hold its lock, so no other process uses it."""
    for scratch in folder.parent.glob(f"{folder.name}.*/"):
        shutil.rmtree(scratch)


def _make(
    folder: Path,
    name: str,
    generator: SampleSource,
    sft: SFTOptions,
    processor: Callable[[str], Processor],
    architecture: Architecture | None,
    base: str | None,
) -> None:
    samples = generator.samples(sft.split)[: sft.num_demonstrations]
    if not 0 < sft.num_checked < len(samples):
        raise UserError(
            f"builder of {name}: sft.num_checked={sft.num_checked} of {len(samples)} demonstrations; "
            "hold some out and leave some to train on"
        )
    if architecture is not None:
        architecture.write(folder, [_text(sample) for sample in samples], sft.seed)
    source = base or str(folder)
    run = _sft_run(load_backbone(source, f"builder of {name}"), processor(source), sft, samples)
    _train(run, name)
    run.backbone.model.save_pretrained(folder)
    run.processor.save(folder)


def _sft_run(backbone: Backbone, processor: Processor, sft: SFTOptions, samples: Sequence[Sample]) -> SFTRun:
    with progress("encoding demonstrations", len(samples), transient=True) as bar:
        rollouts = [_demonstration(processor, sample, bar) for sample in samples]
    return SFTRun(
        backbone=backbone,
        processor=processor,
        sft=sft,
        demonstrations=rollouts[sft.num_checked :],
        held_out=rollouts[: sft.num_checked],
        order=EpochOrder(samples[sft.num_checked :], sft.seed),
    )


def _train(run: SFTRun, name: str) -> None:
    """AdamW until the wanted accuracy, which is checked every few steps, then the cool-down."""
    plan, step_with = run.sft, _stepper(run)
    accuracy, wanted = 0.0, plan.accuracy
    with progress(f"training {name}" + (f" until {wanted:.1%}" if wanted else ""), plan.max_steps) as bar:
        for step in range(1, plan.max_steps + 1):
            loss = step_with(min(1.0, step / plan.warmup_steps))
            if wanted and step % plan.check_every == 0:
                accuracy = run.accuracy()
            bar.advance(status=f"loss {loss:.3f}" + (f"  accuracy {accuracy:.2f}" if wanted else ""))
            if wanted and accuracy >= wanted:
                for left in range(plan.cooldown_steps, 0, -1):
                    step_with(left / (plan.cooldown_steps + 1))
                return
    if wanted:
        raise UserError(
            f"builder of {name}: accuracy={accuracy:.3f} after sft.max_steps={plan.max_steps}, wanted {wanted}; "
            "raise sft.max_steps or lower sft.accuracy"
        )


def _stepper(run: SFTRun) -> Callable[[float], float]:
    """A function that trains on the next batch, at a share of the learning rate, and returns its loss."""
    plan, backbone = run.sft, run.backbone
    demonstrations = {id(each.prompt.sample): each for each in run.demonstrations}
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)

    def step(share: float) -> float:
        optimizer.param_groups[0]["lr"] = plan.learning_rate * share
        loss = run.loss([demonstrations[id(run.order.next())] for _ in range(plan.batch_size)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(backbone.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def _demonstration(processor: Processor, sample: Sample, bar: Bar) -> Rollout:
    prompt = encode(processor, sample, MAX_PROMPT_TOKENS)
    if isinstance(prompt, Skip):
        raise UserError(f"{prompt.where}: {prompt.reason}; remove the synthetic set there; it is generated again")
    ids = processor.encode_response(_response(sample))
    bar.advance()
    return Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=ids,
        logprobs=torch.zeros(len(ids)),
        finish_reason=FinishReason.STOP,
        policy_step=0,
    )


def _response(sample: Sample) -> str:
    if sample.demonstration is None:
        raise UserError(f"{sample.source}: no demonstration to train on; choose a generator that has some")
    return sample.demonstration


def _text(sample: Sample) -> str:
    """All text of a sample, for training a tokenizer."""
    parts = [part for message in sample.messages for part in message.content if isinstance(part, str)]
    return "\n".join([*parts, _response(sample)])


def _key(
    name: str,
    generator: SampleSource,
    sft: SFTOptions,
    processor: Callable[[str], Processor],
    architecture: object,
    base: str | None,
) -> str:
    """A hash of the parts' parameters, their source code, and the versions of torch and transformers."""
    modules = {module for part in (generator, architecture) for module in _modules(part)}
    sources = sorted({source for module in modules for source in _sources(module)})
    made_of = [name, generator, sft, processor, architecture, base, torch.__version__, transformers.__version__]
    text = "\n".join([*map(repr, made_of), *sources, inspect.getsource(inspect.getmodule(make_checkpoint))])  # type: ignore[arg-type]
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _sources(module: ModuleType) -> list[str]:
    """The module's source, with those of its package, which it may use; one outside of a package stands alone."""
    if not module.__package__:
        return [inspect.getsource(module)]
    return [file.read_text(encoding="utf-8") for file in Path(str(module.__file__)).parent.glob("*.py")]


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

"""The typed schema of `configs/train.yaml`: every key, its type, its default and what it means.

Hydra composes YAML files and command-line overrides onto these dataclasses, so a misspelt key or a wrong type is
refused. A field whose YAML has a `_target_` is a component: `build` makes it, after the same check against the
parameters of the target. Which values are impossible is said by `checks`.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from uniopd_mm.config.parts import MixtureConfig, RoutingConfig, TeacherConfig, documented
from uniopd_mm.distill.advantages import Correction
from uniopd_mm.distill.calibration import Direction, Scope, Statistic
from uniopd_mm.distill.objective import Reduction
from uniopd_mm.distill.recipe import CalibrationMethod, Gradient, Responses


@dataclass
class DataConfig:
    """Which prompts a run learns from."""

    path: str | None = documented(
        "rows: a .jsonl or .parquet file, a folder or glob, a saved data set, hub:OWNER/NAME; null: the synthetic set",
        None,
    )
    columns: dict[str, Any] = documented("from the task's names to the rows', as +data.columns.question=prompt", {})
    where: dict[str, Any] = documented("only rows with these values, as +data.where.ability=math", {})
    ignore: list[str] = documented("columns that are not kept, where they are large, as [r1_solution_1]", [])
    subset: str | None = documented("configuration of a hub data set; several: a+b", None)
    source_split: str = documented("split of a hub or saved data set that is read, and divided further", "train")
    streaming: bool = documented("read a hub data set without copying it first", False)
    media_root: str | None = documented("folder of relative media paths; null: the folder of the rows", None)
    validation_fraction: float = documented("share of rows held out where rows name no split", 0.1)
    max_rows: int | None = documented("rows that are read at most; null: all", None)
    max_prompt_tokens: int = documented("a prompt with more tokens is skipped and counted", 4096)
    prompt_cache_mb: int = documented("encoded prompts kept in memory, for later epochs and validations", 512)
    max_validation_samples: int = documented(
        "questions of each domain's validation split that are asked, from the front", 320
    )


@dataclass
class ModelConfig:
    """The student."""

    name: str = documented("what tables and files call it")
    path: str | None = documented("checkpoint folder or hub name; null where `builder` makes one", None)
    builder: Any = documented("component that makes a checkpoint on first use", None)
    processor: dict[str, Any] = documented("component: tokenizer, chat template and media preprocessing")
    dtype: str = documented("compute in float32 or bfloat16; weights stay in float32", "float32")
    gradient_checkpointing: bool = documented("keep no activations of the backbone's layers", False)


@dataclass
class RolloutConfig:
    """How the student answers."""

    engine: dict[str, Any] = documented("component that generates")
    num_samples: int = documented("rollouts per prompt", 16)
    temperature: float = documented("of sampling, and of the loss", 1.0)
    max_new_tokens: int = documented("length at which a response is cut", 1024)
    stop: list[str] = documented('strings that end a response, which keeps them, as ["</answer>"]', [])


@dataclass
class CalibrationConfig:
    """Margin calibration: what is done where a teacher's returns contradict the outcomes."""

    method: CalibrationMethod = documented(
        "NONE, SHIFT (token rewards move apart), MASK (drops the least representative), GROUP_MASK (whole groups)",
        CalibrationMethod.NONE,
    )
    scope: Scope = documented(
        "GROUP: every prompt has a margin of its own; BATCH: one for the whole batch", Scope.GROUP
    )
    statistic: Statistic = documented(
        "MEAN of each class's returns; MINMAX: of the worst correct, the best incorrect", Statistic.MEAN
    )
    direction: Direction = documented(
        "a shift goes CORRECT_UP, INCORRECT_DOWN, or half a way each: BOTH", Direction.BOTH
    )
    delta: float = documented("margin asked for, in nats per token", 0.4)
    min_retain_ratio: float = documented("share of a class that a mask leaves at least", 0.25)
    after_balancing: bool = documented("margins of the samples that balancing keeps; else of all (as published)", False)


@dataclass
class BalancingConfig:
    """Online correctness-aware balancing: surplus rollouts of one class are left out."""

    ratio: float | None = documented("correct rollouts for each incorrect one, 0 to inf; null: no balancing", None)
    scope: Scope = documented("GROUP: balanced within each prompt's group; BATCH: over the whole batch", Scope.GROUP)


@dataclass
class RecipeConfig:
    """What the student is taught, and from what."""

    name: str = documented("what tables and files call it")
    objective: dict[str, Any] = documented("component: the loss")
    gradient: Gradient = documented(
        "ADVANTAGE or BACKPROP: how the loss reaches the student; one of them is void", Gradient.ADVANTAGE
    )
    responses: Responses = documented(
        "who writes what is learnt from: STUDENT, TEACHER, or GOLD (the rows bring responses)", Responses.STUDENT
    )
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    balancing: BalancingConfig = field(default_factory=BalancingConfig)
    clip_low: float = documented("lower clip of the importance ratio", 0.2)
    clip_high: float = documented("upper clip of the importance ratio", 0.28)
    gate: float = documented("a token is dropped where student and teacher differ by this many nats or more", 10.0)
    advantage_clip: float | None = documented(
        "token rewards are held within plus and minus this; null: as they are", None
    )
    correction: Correction = documented(
        "importance weights where rollout engine and trainer differ: NONE, TRUNCATE or MASK", Correction.NONE
    )
    correction_cap: float = documented(
        "weights above it are cut; MASK leaves these tokens out, and those below its inverse", 2.0
    )
    reduction: Reduction = documented("SAMPLE_MEAN (as published) or TOKEN_MEAN", Reduction.SAMPLE_MEAN)
    base_path: str | None = documented("base model of recipe=exopd; null: the student as it is at the start", None)


@dataclass
class TrainerConfig:
    """The loop: one update of the student a step."""

    steps: int = documented("updates of the student", 50)
    prompts_per_step: int = documented("distinct prompts a step", 64)
    learning_rate: float = documented("constant after the warm-up", 1e-6)
    warmup_steps: int = documented("steps over which the learning rate rises", 5)
    betas: list[float] = documented("AdamW's two decay rates", [0.9, 0.98])
    weight_decay: float = documented("AdamW's", 0.1)
    max_grad_norm: float = documented("gradients are scaled down to this norm", 1.0)
    tokens_per_microbatch: int = documented("padded tokens in one forward and backward pass", 16384)
    eval_every: int = documented("steps between validations; 0: only before and after", 10)
    save_every: int = documented("steps between checkpoints: what a kill can cost at most", 1)
    keep_checkpoints: int = documented("newest checkpoints that stay", 2)
    keep_best: bool = documented(
        "keep the student, but not the optimizer, of the step that measured best: by benchmark/mean where there are "
        "benchmarks.tasks, else by eval/accuracy",
        True,
    )
    threads: int | None = documented("CPU threads of a process; null: one per core, shared with the others", None)


@dataclass
class BenchmarksConfig:
    """Benchmarks of lmms-eval on which the student is evaluated in training; they change nothing of what it learns."""

    tasks: list[str] = documented(
        "ours, as [uniopd_ai2d], or others of lmms-eval as NAME:METRIC:FULL_MARK; these need the extra `eval`", []
    )
    every: int = documented("steps between evaluations on them; 0: only before and after", 0)
    limit: int = documented("questions of each task, from the front", 32)
    num_samples: int | None = documented("responses to each question; null: as the task says", None)
    max_new_tokens: int | None = documented("tokens of a response; null: as the task says", None)
    data_root: str | None = documented("folder with the data sets' files as DIR/OWNER/NAME/...; null: the hub", None)


@dataclass
class TrackingConfig:
    """What a run leaves behind beside its checkpoints."""

    progress: bool = documented("show a progress bar", True)
    tensorboard: bool = documented("write runs/<name>/tensorboard", True)
    wandb: bool = documented("log to Weights & Biases", False)
    wandb_mode: str = documented("offline or online", "offline")
    wandb_project: str = documented("project there", "uniopd_mm")
    rollouts_every: int = documented("steps between rollouts/step_<n>.jsonl; 0: none", 1)


@dataclass
class RunConfig:
    """Where a run lives."""

    root: str = documented("folder of all runs", "runs")
    name: str | None = documented("folder below it; null: TASK-MODEL-RECIPE-seedSEED, as chart-tiny-opd-seed0", None)


@dataclass
class TrainConfig:
    """All of `python -m uniopd_mm.train`."""

    task: dict[str, Any] = documented("component: where prompts come from and what a right answer is")
    model: ModelConfig = documented("the student", MISSING)
    teacher: TeacherConfig = documented("the expert, or what the experts of `teachers` have in common", MISSING)
    teachers: dict[str, Any] = documented("several experts by name: what each has otherwise than `teacher`", {})
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    rollout: RolloutConfig = documented("how the student answers", MISSING)
    recipe: RecipeConfig = documented("what it is taught", MISSING)
    data: DataConfig = field(default_factory=DataConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    benchmarks: BenchmarksConfig = field(default_factory=BenchmarksConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    run: RunConfig = field(default_factory=RunConfig)
    zoo: dict[str, Any] = documented("builders that student and teacher of the built-in zoo share", {})
    seed: int = documented("of prompt order and sampling", 0)
    resume: str | None = documented("folder of a run to go on with", None)

"""The typed schema of `configs/train.yaml`: every key, its type, its default and what it means.

Hydra composes YAML files and command-line overrides onto these dataclasses, so a misspelt key or a wrong type is
refused. A field whose YAML has a `_target_` is a component: `build` makes it, after the same check against the
parameters of the target. config/checks.py refuses values that cannot work.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from uniopd_mm.config.parts import MixtureConfig, RoutingConfig, TeacherConfig, documented
from uniopd_mm.distill.choices import (
    CalibrationMethod,
    Correction,
    Direction,
    Gradient,
    Reduction,
    Responses,
    Scope,
    Statistic,
)


@dataclass
class DataConfig:
    """The prompts that a run trains on."""

    path: str | None = documented(
        "rows: a file (.jsonl, .parquet, .json, .csv, .tsv, .tar), a folder or glob, a saved data set, or "
        "hub:OWNER/NAME; null: the task's "
        "synthetic questions",
        None,
    )
    columns: dict[str, Any] = documented(
        "which column of the rows holds each of the task's columns, as data.columns.question=prompt", {}
    )
    recognise: bool = documented(
        "also read columns by the names that the field gives them, as `problem` and `solution`; false: only the "
        "task's own names and `columns`",
        True,
    )
    where: dict[str, Any] = documented("read only rows with these values, as data.where.ability=math", {})
    ignore: list[str] = documented("columns not to read, as [r1_solution_1]; useful for large ones", [])
    subset: str | None = documented("configuration of a hub data set; a+b reads two", None)
    source_split: str = documented(
        "split of a hub or saved data set to read; it is divided into train and validation", "train"
    )
    streaming: bool = documented("read a hub data set without downloading it first", False)
    media_root: str | None = documented(
        "folder that relative media paths start from; null: the folder of the rows", None
    )
    validation_fraction: float = documented("share of rows held out, where the rows name no split", 0.1)
    max_rows: int | None = documented("read at most this many rows; null: all", None)
    fetch: bool = documented("fetch media whose place is an http or https address, into the cache folder", False)
    max_prompt_tokens: int = documented("skip prompts longer than this, and count them", 4096)
    prompt_cache_mb: int = documented("memory for encoded prompts, which later epochs and validations reuse", 512)
    max_validation_samples: int = documented(
        "held-out questions of each domain to ask in a validation, from the front", 320
    )


@dataclass
class ModelConfig:
    """The student."""

    name: str = documented("name in tables and files")
    path: str | None = documented("checkpoint folder or hub name; null: `builder` makes the checkpoint", None)
    builder: Any = documented("component that makes a checkpoint on first use", None)
    processor: dict[str, Any] = documented("component: tokenizer, chat template and media preprocessing")
    dtype: str = documented("float32 or bfloat16 computation; the weights are float32", "float32")
    suggested: dict[str, Any] = documented(
        "settings of `recipe` that suit a model of this size; a recipe that does not use one ignores it", {}
    )
    gradient_checkpointing: bool = documented("recompute activations in the backward pass to save memory", False)


@dataclass
class RolloutConfig:
    """How the student answers."""

    engine: dict[str, Any] = documented("component that generates responses")
    num_samples: int = documented("rollouts per prompt", 16)
    temperature: float = documented("temperature of sampling, of the loss and of the teachers", 1.0)
    max_new_tokens: int = documented("tokens after which a response is cut off", 1024)
    stop: list[str] = documented('strings that end a response and stay in it, as ["</answer>"]', [])


@dataclass
class CalibrationConfig:
    """Margin calibration, for returns of the teacher that contradict the outcomes."""

    method: CalibrationMethod = documented(
        "where a teacher's returns contradict the outcomes: NONE; SHIFT moves token rewards apart; MASK drops the "
        "least representative rollouts; GROUP_MASK drops the prompt's group",
        CalibrationMethod.NONE,
    )
    scope: Scope = documented("GROUP: one margin per prompt; BATCH: one for the whole batch", Scope.GROUP)
    statistic: Statistic = documented(
        "MEAN: between the means of the two classes; MINMAX: between the worst correct and the best incorrect rollout",
        Statistic.MEAN,
    )
    direction: Direction = documented(
        "which class SHIFT moves: CORRECT_UP, INCORRECT_DOWN, or BOTH by half", Direction.BOTH
    )
    delta: float = documented("required margin in nats per token", 0.4)
    min_retain_ratio: float = documented("share of a class that MASK keeps at least", 0.25)
    after_balancing: bool = documented("measure margins after balancing; false: over all rollouts, as published", False)


@dataclass
class BalancingConfig:
    """Online correctness-aware balancing: leaves out surplus rollouts of one class."""

    ratio: float | None = documented(
        "correct rollouts to keep for each incorrect one, 0 to inf; null: no balancing", None
    )
    scope: Scope = documented("GROUP: balance each prompt's group; BATCH: balance the whole batch", Scope.GROUP)


@dataclass
class RecipeConfig:
    """What the student learns, and from which responses."""

    name: str = documented("name in tables and files")
    objective: dict[str, Any] = documented("component: the loss")
    gradient: Gradient = documented(
        "ADVANTAGE: detached token rewards; BACKPROP: through the compared distributions. An objective allows one",
        Gradient.ADVANTAGE,
    )
    responses: Responses = documented(
        "who writes the responses to learn from: STUDENT, TEACHER, or GOLD (a column of the rows)", Responses.STUDENT
    )
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    balancing: BalancingConfig = field(default_factory=BalancingConfig)
    clip_low: float = documented("lower clip of the importance ratio", 0.2)
    clip_high: float = documented("upper clip of the importance ratio", 0.28)
    gate: float = documented("drop tokens where student and teacher differ by this many nats or more", 10.0)
    advantage_clip: float | None = documented("clip token rewards to plus or minus this; null: no clipping", None)
    correction: Correction = documented(
        "correct for a rollout engine whose probabilities differ from the trainer's: NONE, TRUNCATE or MASK; costs one "
        "more forward pass of the student",
        Correction.NONE,
    )
    correction_cap: float = documented(
        "TRUNCATE cuts importance weights here; MASK drops tokens above it or below its inverse", 2.0
    )
    reduction: Reduction = documented(
        "SAMPLE_MEAN: mean over rollouts of their token means, as published; TOKEN_MEAN: mean over all tokens",
        Reduction.SAMPLE_MEAN,
    )
    base_path: str | None = documented("base model of recipe=exopd; null: the student before its first step", None)
    teacher_temperature: float | None = documented(
        "temperature of the teachers' and the base model's distributions; null: rollout.temperature, so that the "
        "student learns the teacher's logits and not a multiple of them",
        None,
    )


@dataclass
class TrainerConfig:
    """The loop: one update of the student a step."""

    steps: int = documented("updates of the student", 50)
    prompts_per_step: int = documented("distinct prompts per step", 64)
    learning_rate: float = documented("constant after the warm-up", 1e-6)
    warmup_steps: int = documented("steps over which the learning rate rises", 5)
    betas: list[float] = documented("AdamW's two decay rates", [0.9, 0.98])
    weight_decay: float = documented("AdamW's weight decay", 0.1)
    max_grad_norm: float = documented("clip the gradient to this norm", 1.0)
    tokens_per_microbatch: int = documented("padded tokens in one forward and backward pass", 16384)
    eval_every: int = documented("steps between validations; 0: only before and after", 10)
    max_idle_steps: int = documented(
        "the run ends with exit status 1 after this many steps in a row that teach the student nothing; 0: never",
        10,
    )
    save_every: int = documented("steps between checkpoints; a kill loses at most this many steps", 1)
    keep_checkpoints: int = documented("number of newest checkpoints to keep", 2)
    keep_best: bool = documented(
        "also keep the student of the best step: by benchmark/mean with benchmarks.tasks, else by eval/accuracy",
        True,
    )
    threads: int | None = documented(
        "CPU threads per process; null: the machine's cores, divided among its processes", None
    )


@dataclass
class BenchmarksConfig:
    """Benchmarks that evaluate the student during training. They do not affect what it learns."""

    tasks: list[str] = documented(
        "evaluate the student on these benchmarks while it trains: ours, as [uniopd_ai2d], or lmms-eval's as "
        "NAME:METRIC:FULL_MARK; needs the extra `eval`",
        [],
    )
    every: int = documented("steps between benchmark evaluations; 0: only before and after", 0)
    limit: int = documented("questions of each benchmark, from the front", 32)
    num_samples: int | None = documented("responses to each question; null: the benchmark's own number", None)
    max_new_tokens: int | None = documented("tokens of a response; null: the benchmark's own limit", None)
    data_root: str | None = documented("folder with the benchmarks' files as DIR/OWNER/NAME/...; null: the hub", None)


@dataclass
class TrackingConfig:
    """What a run writes besides its checkpoints."""

    progress: bool = documented("show a progress bar", True)
    tensorboard: bool = documented("write runs/<name>/tensorboard", True)
    wandb: bool = documented("log to Weights & Biases", False)
    wandb_mode: str = documented("offline or online", "offline")
    wandb_project: str = documented("Weights & Biases project", "uniopd_mm")
    rollouts_every: int = documented("steps between rollouts/step_<n>.jsonl files; 0: none", 1)


@dataclass
class RunConfig:
    """Where a run lives."""

    root: str = documented("folder of all runs", "runs")
    name: str | None = documented("folder below it; null: TASK-MODEL-RECIPE-seedSEED, as chart-tiny-opd-seed0", None)


@dataclass
class TrainConfig:
    """All of `python -m uniopd_mm.train`."""

    task: dict[str, Any] = documented("component: where prompts come from and how responses are graded")
    model: ModelConfig = documented("the student", MISSING)
    teacher: TeacherConfig = documented("the teacher; with `teachers`, the settings that all of them share", MISSING)
    teachers: dict[str, Any] = documented(
        "several teachers by name; each overrides settings of `teacher`, as teachers.math.path=FOLDER", {}
    )
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    rollout: RolloutConfig = documented("how the student answers", MISSING)
    recipe: RecipeConfig = documented("what the student learns", MISSING)
    data: DataConfig = field(default_factory=DataConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    benchmarks: BenchmarksConfig = field(default_factory=BenchmarksConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    run: RunConfig = field(default_factory=RunConfig)
    zoo: dict[str, Any] = documented("components that make the built-in models", {})
    seed: int = documented("seed of the prompt order and of sampling", 0)
    resume: str | None = documented("folder of a run to continue", None)
    trust: list[str] = documented(
        "with resume: packages of yours that the run's config.yaml may name as components, as [my_package]", []
    )
    resume_with_changes: bool = documented(
        "with resume: go on although rows, teachers, processor or code are not those that the run began with", False
    )

    @property
    def teacher_temperature(self) -> float:
        """The temperature of the distributions that the student is compared with."""
        own = self.recipe.teacher_temperature
        return self.rollout.temperature if own is None else own

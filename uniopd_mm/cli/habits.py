"""Names that users of TRL, verl and ms-swift type out of habit, and the keys that mean the same here."""

import difflib
from collections.abc import Collection

EFFECTIVE_BATCH = (
    "trainer.prompts_per_step and rollout.num_samples (the batch of a step) or trainer.tokens_per_microbatch (memory)"
)
LENGTH_OF_TRAINING = "trainer.steps (each draws trainer.prompts_per_step prompts)"
PLACE_OF_A_RUN = "run.root (the folder of all runs) and run.name"

HABITS = {
    "adam_beta1": "trainer.betas",
    "adam_beta2": "trainer.betas",
    "batch_size": EFFECTIVE_BATCH,
    "bf16": "model.dtype",
    "dataset": "data.path",
    "dataset_name": "data.path",
    "dataset_path": "data.path",
    "epochs": LENGTH_OF_TRAINING,
    "eval_steps": "trainer.eval_every",
    "experiment_name": "run.name",
    "fp16": "model.dtype",
    "gradient_accumulation_steps": EFFECTIVE_BATCH,
    "group_size": "rollout.num_samples",
    "learning_rate": "trainer.learning_rate",
    "lr": "trainer.learning_rate",
    "max_completion_length": "rollout.max_new_tokens",
    "max_length": "data.max_prompt_tokens and rollout.max_new_tokens",
    "max_prompt_length": "data.max_prompt_tokens",
    "max_response_length": "rollout.max_new_tokens",
    "max_steps": "trainer.steps",
    "max_tokens": "rollout.max_new_tokens",
    "micro_batch_size": EFFECTIVE_BATCH,
    "mini_batch_size": EFFECTIVE_BATCH,
    "model_name": "model.path",
    "model_name_or_path": "model.path",
    "n": "rollout.num_samples",
    "num_epochs": LENGTH_OF_TRAINING,
    "num_generations": "rollout.num_samples",
    "num_train_epochs": LENGTH_OF_TRAINING,
    "num_workers": "trainer.threads",
    "output_dir": PLACE_OF_A_RUN,
    "per_device_train_batch_size": EFFECTIVE_BATCH,
    "ppo_mini_batch_size": EFFECTIVE_BATCH,
    "project": "tracking.wandb_project",
    "project_name": "tracking.wandb_project",
    "response_length": "rollout.max_new_tokens",
    "resume_from_checkpoint": "resume",
    "rollout_n": "rollout.num_samples",
    "run_name": "run.name",
    "save_dir": PLACE_OF_A_RUN,
    "save_freq": "trainer.save_every",
    "save_steps": "trainer.save_every",
    "save_total_limit": "trainer.keep_checkpoints",
    "student": "model.path",
    "teacher_model": "teacher.path",
    "teacher_model_name_or_path": "teacher.path",
    "temperature": "rollout.temperature",
    "test_freq": "trainer.eval_every",
    "torch_dtype": "model.dtype",
    "total_epochs": LENGTH_OF_TRAINING,
    "total_steps": "trainer.steps",
    "train_batch_size": EFFECTIVE_BATCH,
    "train_file": "data.path",
    "train_files": "data.path",
    "use_vllm": "rollout (rollout=vllm)",
    "val_before_train": "trainer.eval_every",
    "warmup_ratio": "trainer.warmup_steps",
    "warmup_steps": "trainer.warmup_steps",
    "weight_decay": "trainer.weight_decay",
}

PLAIN_SAMPLING = "responses are sampled from the whole distribution, which the loss assumes; leave it out"
NOT_HERE = {"top_p": PLAIN_SAMPLING, "top_k": PLAIN_SAMPLING, "min_p": PLAIN_SAMPLING}


def same_setting(name: str, known: Collection[str]) -> str | None:
    """The one key that a bare name such as `steps` or `lr` means, None where it may mean several or none."""
    if name in known:
        return name
    if HABITS.get(name) in known:
        return HABITS[name]
    same_end = [key for key in known if key.rpartition(".")[2] == name]
    return same_end[0] if len(same_end) == 1 else None


def remedy_for(key: str, known: Collection[str]) -> str:
    """What to write instead of an unknown key: the same setting under our name, or the nearest of the `known` keys."""
    last = key.rpartition(".")[2].lower()
    if last in NOT_HERE and key.rpartition(".")[0] in ("", "rollout", "sampling"):
        return NOT_HERE[last]
    meant = HABITS.get(last)
    if meant and meant.split()[0] in known:
        return f"use {meant}"
    near = difflib.get_close_matches(key, known, n=1)
    if near and near[0] != key:
        return f"did you mean {near[0]}?"
    if same := same_setting(last, known):
        return f"did you mean {same}?"
    first, _, rest = key.partition(".")
    if rest and first not in known and (section := same_setting(first, known)):
        return f"did you mean {section}.{rest}?"
    return "--help lists every key"

"""Options and overrides in any order, and options in the style of other programs."""

import itertools

import pytest

from uniopd_mm.cli.arguments import read_arguments
from uniopd_mm.types import UserError

KEYS = ("trainer.steps", "trainer.learning_rate", "model.path", "model", "seed")


def test_options_stand_anywhere() -> None:
    parts = (["--cfg", "job"], ["trainer.steps=3"], ["--config-dir", "mine"], ["seed=1"])
    for order in itertools.permutations(parts):
        arguments = read_arguments([word for part in order for word in part], {}, KEYS)
        assert set(arguments.overrides) == {"trainer.steps=3", "seed=1"}
        assert arguments.options == {"--cfg": "job", "--config-dir": "mine"}
        assert arguments.config_dir == "mine"
        assert arguments.hydra_argv[:2] == list(arguments.overrides), "Hydra's parser wants the overrides first"


def test_short_forms_and_equals_signs() -> None:
    arguments = read_arguments(["-m", "seed=0,1", "--config-dir=mine"], {}, KEYS)
    assert arguments.options == {"--multirun": None, "--config-dir": "mine"}


def test_a_command_has_switches_of_its_own() -> None:
    assert read_arguments(["--dry-run"], {"--dry-run": "dry_run=true"}, KEYS).overrides == ("dry_run=true",)


@pytest.mark.parametrize(
    ("argv", "remedy"),
    [
        (["--model", "X"], r"--model: no such option; settings are written without dashes, as model=X"),
        (["--steps", "5"], r"as trainer\.steps=5"),
        (["--lr=1e-5"], r"as trainer\.learning_rate=1e-5"),
        (["--trainer.steps", "5"], r"as trainer\.steps=5"),
        (["--model-name-or-path", "a b"], r"as 'model\.path=a b'"),
        (["--config", "my.yaml"], r"--config-dir FOLDER experiment=NAME"),
        (["--fast"], r"as fast=VALUE"),
        (["--cfg"], r"--cfg: needs a value, as --cfg job"),
        (["--cfg", "jobs"], r"--cfg jobs: must be one of job, hydra, all"),
        (["--config-dir", "--multirun"], r"--config-dir: needs a value"),
        (["--multirun", "a=1", "--cfg", "job"], r"leave one of the two out"),
    ],
)
def test_what_is_no_option_names_the_remedy(argv: list[str], remedy: str) -> None:
    with pytest.raises(UserError, match=remedy):
        read_arguments(argv, {}, KEYS)

"""What Hydra and OmegaConf refuse, as one line in the user's words: key, value, reason and remedy."""

import difflib
from collections.abc import Sequence

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError, OmegaConfBaseException

from uniopd_mm.cli.overrides import Vocabulary


def explained(error: HydraException | OmegaConfBaseException, words: Vocabulary, arguments: Sequence[str]) -> str:
    """One line for an error of composing a configuration from `arguments`."""
    if isinstance(error, MissingConfigException):
        return _no_such_choice(error, words)
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    if not key:
        return _without_key(error, arguments)
    given = _given(key, arguments)
    name = given.partition("=")[0]
    if isinstance(cause, InterpolationKeyError | InterpolationResolutionError):
        remedy = "choose groups that fit each other (task=, model=, teacher=), or set this key"
    else:
        near = difflib.get_close_matches(name, words.keys, n=1)
        remedy = f"did you mean {near[0]}?" if near and near[0] != name else "--help lists every key and its type"
    reason = "no such key" if "not in" in str(cause) else first_line(cause)
    return f"{given}: {reason}; {remedy}"


def visible(text: str) -> str:
    """The text with escapes for control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() or letter == "\n" else f"\\x{ord(letter):02x}" for letter in text)


def first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _no_such_choice(error: MissingConfigException, words: Vocabulary) -> str:
    if not error.missing_cfg_file or "/" not in error.missing_cfg_file:
        return first_line(error)
    group, _, choice = error.missing_cfg_file.rpartition("/")
    known = words.choices.get(group, error.options or [])
    near = difflib.get_close_matches(choice, known, n=1)
    remedies = [f"did you mean {near[0]}?"] if near else []
    remedies += ["a checkpoint folder or hub name works too"] if group in ("model", "teacher") else []
    remedies += [f"your own goes into DIR/{group}/{choice}.yaml with --config-dir DIR"]
    return f"{group}={choice}: no such choice; there are {', '.join(known)}; {'; '.join(remedies)}"


def _without_key(error: HydraException | OmegaConfBaseException, arguments: Sequence[str]) -> str:
    """Some errors name no key: then what was typed stands beside Hydra's reason."""
    if isinstance(error, ConfigCompositionException) and "match in the defaults list" in str(error):
        typed = " ".join(arguments)
        return f"{typed}: {first_line(error)}; this command does not compose that group, so leave it out"
    return first_line(error)


def _given(key: str, arguments: Sequence[str]) -> str:
    """The last argument that sets `key` or something below it, without a leading + or ~."""
    typed = [argument.lstrip("+~") for argument in reversed(arguments)]
    return next((a for a in typed if a.partition("=")[0] == key or a.startswith(f"{key}.")), key)

"""Checks whether lmms-eval, which is optional, is installed and can be imported."""

from importlib import import_module
from importlib.util import find_spec

from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.types import UserError


def require_installed() -> None:
    """Raise UserError if lmms-eval is not installed. Imports nothing."""
    if find_spec("lmms_eval") is None:
        raise UserError(
            "lmms-eval is not installed; run `python3 tools/setup.py --extra eval` in a checkout, or "
            "`pip install 'uniopd-mm[eval]'` elsewhere"
        )


def require_lmms_eval() -> None:
    """Import lmms-eval, which takes half a minute the first time.

    Raises:
        UserError: it is not installed, or its import fails.
    """
    require_installed()
    try:
        with untouched_rng():
            import_module("lmms_eval.evaluator")
    except Exception as error:  # raised by any package that it imports; they share no narrower class
        reason = in_short(f"{type(error).__name__}: {error}")
        raise UserError(f"lmms-eval is installed, but its import fails: {reason}; see tools/constraints.txt") from error

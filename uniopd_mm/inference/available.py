"""Whether vLLM, which is optional, is there."""

from importlib.util import find_spec

from uniopd_mm.types import UserError


def require_vllm(key: str) -> None:
    """Raises UserError where vLLM is not installed."""
    if find_spec("vllm") is None:
        raise UserError(f"{key}: vLLM is not installed; pip install 'uniopd-mm[vllm]'")

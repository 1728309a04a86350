"""Configuration that several commands or packages use: teachers, routes, and the mixture of domains.

`documented` makes a field with its help text.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING


def documented(text: str, default: Any = MISSING) -> Any:
    """A field with its documentation, which `--help` prints."""
    metadata = {"help": text}
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


class Reads(StrEnum):
    """How a teacher reads what the student wrote.

    IDS: prompt and response are the student's own token ids and media; one tokenizer, one processor.
    TOKENS: a prompt of the teacher's own; the response token by token, each found by its string.
    TEXT: a prompt of the teacher's own; the response's text in the teacher's tokens, aligned by bytes.
    """

    IDS = "ids"
    TOKENS = "tokens"
    TEXT = "text"


class MediaFor(StrEnum):
    """What replaces media in a teacher's own prompt."""

    AS_IS = "as_is"
    CAPTION = "caption"
    NOTHING = "nothing"


class Shares(StrEnum):
    """What decides each domain's share of the prompts."""

    PROPORTION = "proportion"
    UNIFORM = "uniform"
    TEMPERATURE = "temperature"
    WEIGHTS = "weights"
    ADAPTIVE = "adaptive"


class Engine(StrEnum):
    """What runs a teacher: transformers in this process, vLLM in this process, or a server somewhere."""

    hf = "hf"
    vllm = "vllm"
    remote = "remote"


class Api(StrEnum):
    """The protocol of a remote teacher's server."""

    UNIOPD = "uniopd"
    VLLM = "vllm"


@dataclass
class VLLMOptions:
    """How vLLM runs one model, for rollouts as for teachers."""

    dtype: str | None = documented("float32 or bfloat16; null: the model's own dtype setting", None)
    max_model_len: int | None = documented(
        "tokens of prompt and response together, plus one for a teacher; null: what fits", None
    )
    gpu_memory_utilization: float = documented("share of the GPU's memory that vLLM takes, weights included", 0.5)
    kv_cache_mb: int | None = documented(
        "memory for the KV cache; null: the rest of vLLM's share, or 256 on a CPU", None
    )
    tensor_parallel_size: int = documented("GPUs that share one copy of the model", 1)
    max_num_seqs: int = documented("sequences computed together at most", 256)
    enforce_eager: bool = documented("no compilation and no CUDA graphs", False)
    args: dict[str, Any] = documented("other arguments of vllm.LLM, as teacher.vllm.args.quantization=fp8", {})


@dataclass
class RemoteOptions:
    """How a remote teacher is reached."""

    api: Api = documented("UNIOPD: python -m uniopd_mm.serve; VLLM: a stock vLLM server", Api.UNIOPD)
    model: str | None = documented("the model's name on a stock vLLM server; null: its first model", None)
    fps: float = documented(
        "VLLM: frames per second in the server's --media-io-kwargs; videos with another rate are refused", 2.0
    )
    token_env: str = documented("environment variable that holds the bearer token", "UNIOPD_MM_TOKEN")
    deadline: float = documented("seconds for one request, retries included", 600.0)
    attempts: int = documented("attempts of one request, over all servers", 6)
    parallel: int = documented("requests in flight to one server", 4)
    breaker_failures: int = documented("failures in a row after which a server is skipped for a while", 3)
    breaker_seconds: float = documented("seconds for which it is skipped", 10.0)


@dataclass
class TeacherConfig:
    """An expert that scores the student's tokens."""

    name: str = documented("name in tables and files")
    path: str | None = documented("checkpoint folder or hub name; null: `builder` makes the checkpoint", None)
    builder: Any = documented("component that makes a checkpoint on first use", None)
    processor: dict[str, Any] = documented(
        "component: the teacher's own tokenizer and preprocessing, compared with the student's"
    )
    dtype: str = documented("float32 or bfloat16 computation; the weights are float32", "float32")
    max_tokens: int = documented("padded tokens in one scoring pass", 16384)
    engine: Engine = documented("what runs the teacher: hf, vllm or remote", Engine.hf)
    urls: list[str] = documented("servers of a remote teacher, as [http://10.0.0.5:8100]", [])
    vllm: VLLMOptions = field(default_factory=VLLMOptions)
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    reads: Reads = documented(
        "IDS: the student's own ids and media; TOKENS: a prompt of its own and the student's tokens; TEXT: another "
        "tokenizer, aligned by bytes",
        Reads.IDS,
    )
    media: MediaFor = documented(
        "media in a prompt of its own: AS_IS, replaced by their CAPTION (a column), or NOTHING",
        MediaFor.AS_IS,
    )


@dataclass
class RoutingConfig:
    """Who teaches what. The first of these that says something wins: the row, the rules, the domain, the default."""

    column: str | None = documented("column of the rows that names the teacher; null: no such column", "teacher")
    rules: list[dict[str, Any]] = documented("each {where: {column: value}, teacher: NAME or {NAME: weight}}", [])
    domains: dict[str, Any] = documented(
        "teacher of each domain, as routing.domains.chart=NAME, or weights, as {NAME: 1, OTHER: 2}", {}
    )
    default: str | None = documented("teacher of all other prompts; null: a prompt without a teacher is an error", None)
    max_lost_share: float = documented("share of a domain's rollouts that may stay unscored in a step", 0.5)
    max_lost_steps: int = documented("the run stops after this many steps in a row above max_lost_share", 3)


@dataclass
class MixtureConfig:
    """How often each domain of a mixture is drawn."""

    shares: Shares = documented(
        "share of each domain: UNIFORM, PROPORTION of samples, TEMPERATURE (sizes to the power 1/temperature), "
        "WEIGHTS, or ADAPTIVE (gap to the teacher)",
        Shares.UNIFORM,
    )
    weights: dict[str, float] = documented(
        "share of each domain with WEIGHTS, as mixture.weights.math=2; they need not add up to 1", {}
    )
    temperature: float = documented("TEMPERATURE: 1 is PROPORTION; higher is closer to UNIFORM", 2.0)
    floor: float = documented("ADAPTIVE: smallest gap that a domain counts with", 0.1)
    recent: int = documented("ADAPTIVE: steps over which the student's accuracy is averaged", 5)
    window: int | None = documented(
        "prompts over which shares hold exactly; null: a step's prompts times the number of domains", None
    )

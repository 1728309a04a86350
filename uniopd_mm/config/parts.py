"""Parts of the configuration that more than one command or package reads: teachers, routes, and the mixture of domains.

`documented` makes their fields. Leaves out: what is particular to training (config.py).
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
    """What a teacher with a prompt of its own is given in the place of media."""

    AS_IS = "as_is"
    CAPTION = "caption"
    NOTHING = "nothing"


class Shares(StrEnum):
    """By what the domains of a mixture have their shares of the prompts."""

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
    """What a remote teacher's server speaks."""

    UNIOPD = "uniopd"
    VLLM = "vllm"


@dataclass
class VLLMOptions:
    """How vLLM runs one model, for rollouts as for teachers."""

    dtype: str | None = documented("float32 or bfloat16; null: as the model is computed elsewhere", None)
    max_model_len: int | None = documented(
        "tokens of prompt and response together, for a teacher and one more; null: what fits", None
    )
    gpu_memory_utilization: float = documented("share of the GPU's memory, weights included", 0.5)
    kv_cache_mb: int | None = documented("memory of keys and values; null: what the share leaves, 256 on a CPU", None)
    tensor_parallel_size: int = documented("GPUs that share one copy", 1)
    max_num_seqs: int = documented("sequences computed together at most", 256)
    enforce_eager: bool = documented("no compilation and no CUDA graphs", False)
    args: dict[str, Any] = documented("any other argument of vllm.LLM, as +teacher.vllm.args.quantization=fp8", {})


@dataclass
class RemoteOptions:
    """How a remote teacher is reached."""

    api: Api = documented("UNIOPD: python -m uniopd_mm.serve; VLLM: a stock vLLM server", Api.UNIOPD)
    model: str | None = documented("the model's name at a stock vLLM server; null: its first", None)
    fps: float = documented("VLLM: frames a second that its --media-io-kwargs set; others are refused", 2.0)
    token_env: str = documented("environment variable with the bearer token, if there is one", "UNIOPD_MM_TOKEN")
    deadline: float = documented("seconds for one request, retries included", 600.0)
    attempts: int = documented("tries of one request, wherever they are sent", 6)
    parallel: int = documented("requests in flight to one server", 4)
    breaker_failures: int = documented("failures in a row after which a server is left alone", 3)
    breaker_seconds: float = documented("how long it is left alone before it is tried again", 10.0)


@dataclass
class TeacherConfig:
    """An expert that scores the student's tokens."""

    name: str = documented("what tables and files call it")
    path: str | None = documented("checkpoint folder or hub name; null where `builder` makes one", None)
    builder: Any = documented("component that makes a checkpoint on first use", None)
    processor: dict[str, Any] = documented("component: the expert's own tokenizer, compared with the student's")
    dtype: str = documented("compute in float32 or bfloat16; weights stay in float32", "float32")
    max_tokens: int = documented("padded tokens scored at a time", 16384)
    engine: Engine = documented("hf, vllm, or remote: what runs it", Engine.hf)
    urls: list[str] = documented("servers of a remote teacher, as [http://10.0.0.5:8100]", [])
    vllm: VLLMOptions = field(default_factory=VLLMOptions)
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    reads: Reads = documented(
        "IDS: the student's own ids and media; TOKENS: a prompt of its own, the response token by token; TEXT: another "
        "tokenizer, aligned by bytes",
        Reads.IDS,
    )
    media: MediaFor = documented(
        "what a prompt of its own has in the place of media: AS_IS, their CAPTION (a column), or NOTHING",
        MediaFor.AS_IS,
    )


@dataclass
class RoutingConfig:
    """Who teaches what. The first of these that says something wins: the row, the rules, the domain, the default."""

    column: str | None = documented("column of a row that names its teacher; null: rows are not asked", "teacher")
    rules: list[dict[str, Any]] = documented("each {where: {column: value}, teacher: NAME or {NAME: weight}}", [])
    domains: dict[str, Any] = documented("teacher's NAME, or {NAME: weight, NAME: weight}, by domain", {})
    default: str | None = documented("teacher of all else; null: a prompt without a teacher is an error", None)
    max_lost_share: float = documented("rollouts of a domain that its teachers may leave unscored in a step", 0.5)
    max_lost_steps: int = documented("steps in a row with more after which the run stops", 3)


@dataclass
class MixtureConfig:
    """How often each domain of a mixture is drawn."""

    shares: Shares = documented(
        "PROPORTION of samples, UNIFORM, TEMPERATURE (sizes to the power 1/temperature), WEIGHTS, or ADAPTIVE (the gap "
        "to the teacher)",
        Shares.UNIFORM,
    )
    weights: dict[str, float] = documented("share of each domain with WEIGHTS; they need not add up to 1", {})
    temperature: float = documented("1 is PROPORTION, and the higher, the nearer to UNIFORM", 2.0)
    floor: float = documented("ADAPTIVE: a domain whose gap is below it is drawn as if it were this", 0.1)
    recent: int = documented("ADAPTIVE: steps over which the student's accuracy is averaged", 5)
    window: int | None = documented(
        "prompts over which shares are held exactly; null: a step's prompts times the number of domains", None
    )

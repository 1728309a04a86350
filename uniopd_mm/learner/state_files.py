"""The trainer's state in files that hold data only: tensors in safetensors, everything else in JSON. No pickle, so that
reading the state of a stranger's run runs no code.

    state.json               {"mapping": [["step", 3], ["moments", {"tensor": "0"}]]}
    tensors_0.safetensors    the tensors by number, in files of about a gigabyte

In state.json a mapping is a list of pairs, because an optimizer's keys are integers. Tuples come back as lists.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

STATE_FILE = "state.json"
TENSOR_FILES = "tensors_*.safetensors"
FILE_BYTES = 2**30  # safetensors holds a whole file in memory while it writes


class BadState(ValueError):
    """The files hold no state. The message says why."""


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Create `folder` with a state made of mappings, lists, tuples, tensors, numbers, texts, booleans and None."""
    folder.mkdir(parents=True)
    tensors: list[Tensor] = []
    text = json.dumps(_encoded(state, tensors))
    (folder / STATE_FILE).write_text(text, encoding="utf-8")
    for number, part in enumerate(_files(tensors)):
        save_file(part, folder / TENSOR_FILES.replace("*", str(number)))


def read_state(folder: Path) -> Any:
    """What `write_state` was given; tensors are on the CPU.

    Raises:
        BadState: the files hold no state.
        OSError: they cannot be read.
    """
    try:
        tensors = {name: tensor for path in folder.glob(TENSOR_FILES) for name, tensor in load_file(path).items()}
        return _decoded(json.loads((folder / STATE_FILE).read_bytes()), tensors)
    except (SafetensorError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadState(f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}") from error


def _encoded(value: Any, tensors: list[Tensor]) -> Any:
    """The value for JSON; its tensors are added to `tensors`."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return {"tensor": str(len(tensors) - 1)}
    if isinstance(value, Mapping):
        return {"mapping": [[key, _encoded(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, list | tuple):
        return [_encoded(entry, tensors) for entry in value]
    return value


def _decoded(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decoded(entry, tensors) for entry in value]
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        return tensors[content] if kind == "tensor" else {key: _decoded(entry, tensors) for key, entry in content}
    return value


def _files(tensors: Sequence[Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors by number, split so that a file has about FILE_BYTES. Each is copied: tensors of one file may not
    share memory."""
    part: dict[str, Tensor] = {}
    size = 0
    for number, tensor in enumerate(tensors):
        part[str(number)] = tensor.detach().to("cpu", copy=True).contiguous()
        size += tensor.nbytes
        if size >= FILE_BYTES:
            yield part
            part, size = {}, 0
    if part:
        yield part

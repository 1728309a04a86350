"""Plain values, tensors and arrays as bytes and back, exactly; no pickle.

The bytes are a digest of what follows, then msgpack. A body that was cut off or altered on its way is therefore never
read as another one.
"""

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgpack
import numpy as np
import torch
from torch import Tensor

DIGEST_BYTES = 16
# What reading values of any other form than the expected one raises.
UNEXPECTED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
TENSOR, ARRAY = 1, 2  # msgpack's extension types
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
    )
}


class Malformed(ValueError):
    """Bytes or values that do not have the expected form, and why."""


def digest(data: bytes) -> str:
    """A short name for this content."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def _checksum(content: bytes | memoryview) -> bytes:
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]


def pack(value: Any) -> bytes:
    """Encode plain values, mappings, sequences, tensors, numpy arrays and records. Tuples are decoded as lists, records
    as mappings.

    Raises:
        Malformed: a value of any other type.
    """
    try:
        content = msgpack.packb(value, default=_encode, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise Malformed(str(error)) from error
    return _checksum(content) + content


def unpack(data: bytes) -> Any:
    """Decode the bytes of `pack`. Raises Malformed if they are anything else."""
    content = memoryview(data)[DIGEST_BYTES:]
    if _checksum(content) != data[:DIGEST_BYTES]:
        raise Malformed(f"{len(data)} bytes do not match their digest: cut off, altered, or of another protocol")
    try:
        return msgpack.unpackb(content, ext_hook=_decode, raw=False, strict_map_key=False)
    except (*UNEXPECTED, struct.error, msgpack.UnpackException) as error:  # the bytes may be anything
        raise Malformed(f"cannot be decoded as msgpack: {error or type(error).__name__}") from error


def raw_bytes(value: Tensor | np.ndarray) -> memoryview:
    """The elements in row-major order, without a copy if they are in that order already."""
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        # A single element of a larger tensor keeps a stride that `view` does not take.
        return flat.as_strided(flat.shape, (1,)).view(torch.uint8).numpy().data
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data


def _encode(value: Any) -> Any:
    """Encode a type that msgpack does not support itself."""
    if isinstance(value, Tensor):
        return msgpack.ExtType(TENSOR, _block(value))
    if isinstance(value, np.ndarray):
        return msgpack.ExtType(ARRAY, _block(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"a {type(value).__name__} cannot be sent")


def _block(value: Tensor | np.ndarray) -> bytes:
    """A header with dtype and shape, then the elements."""
    name = str(value.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise TypeError(f"values of dtype {name} cannot be sent")
    header = msgpack.packb([name, list(value.shape)])
    return b"".join((struct.pack("<I", len(header)), header, raw_bytes(value)))


def _decode(code: int, data: bytes) -> Tensor | np.ndarray:
    """Decode an extension type. Raises ValueError if the header does not fit the bytes."""
    if code not in (TENSOR, ARRAY):
        raise Malformed(f"unknown extension type {code}")
    (length,) = struct.unpack_from("<I", data)
    name, shape = msgpack.unpackb(data[4 : 4 + length])
    raw = data[4 + length :]
    dtype = DTYPES.get(name)
    if dtype is None:
        raise Malformed(f"unknown dtype {name!r}")
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(raw):
        raise Malformed(f"{len(raw)} bytes for a {name} tensor of shape {shape}")
    tensor = torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.empty(0, dtype=dtype)
    return tensor.reshape(shape) if code == TENSOR else tensor.reshape(shape).numpy()

"""Images: from a path, encoded bytes, a data URI or a PIL image to an upright RGB picture within a pixel budget.

Transparency is composited on white, as in qwen-vl-utils. Not here: patches and normalisation, which the stock image
processor does. Of an animation, only the first frame is used.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps
from qwen_vl_utils.vision_process import to_rgb

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.source import locate, naming, reject_unknown
from uniopd_mm.types import BadSample, UserError

# Pillow warns above this size and refuses twice as much. A picture this large decodes to 270 MB.
MAX_DECODED_PIXELS = 89_478_485
HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
HEAD_BYTES = 1024
IMAGE_OPTIONS = ("min_pixels", "max_pixels")


def load_image(source: Any, budget: PixelBudget, options: Mapping[str, Any] | None = None) -> Image.Image:
    """An upright RGB picture whose sides are multiples of the budget's factor.

    `options` may override the budget's min_pixels and max_pixels for this picture.

    Raises:
        BadSample: "<name>: <reason>"; it cannot be read, or no size within the budget fits its shape.
    """
    options = options or {}
    image, name = open_image(source)
    with naming(name):
        reject_unknown(options, IMAGE_OPTIONS)
        try:
            height, width = replace(budget, **options).fit(image.height, image.width)
        except (UserError, TypeError) as error:
            raise BadSample(str(error)) from error
    if (width, height) == image.size:
        return image
    return image.resize((width, height), Image.Resampling.BICUBIC)


def open_image(source: Any) -> tuple[Image.Image, str]:
    """An upright RGB picture in its own size, and its name for messages.

    Raises:
        BadSample: "<name>: <reason>".
    """
    if isinstance(source, Image.Image):
        name = f"<PIL image {source.width}x{source.height}>"
        with naming(name):
            return _upright_rgb(source), name
    encoded = locate(source)
    content = encoded.content
    with naming(encoded.name):
        return _decode(content if isinstance(content, Path) else BytesIO(content)), encoded.name


def _decode(file: Path | BytesIO) -> Image.Image:
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # lmms-eval's tasks set it globally; half a picture would pass
    try:
        with _opened(file) as image:
            return _upright_rgb(image)
    except (BadSample, MemoryError):
        raise
    except Image.UnidentifiedImageError as error:
        raise BadSample(f"cannot be decoded as an image: {remedy(_head(file))}") from error
    except Exception as error:  # untrusted bytes: Pillow's plugins raise OSError, SyntaxError, struct.error and others
        raise BadSample(f"cannot be decoded as an image: {error}") from error


def _opened(file: Path | BytesIO) -> Image.Image:
    """Pillow reads HEIC pictures only with the plug-in of pillow-heif, which is imported for those alone."""
    if is_heic(_head(file)) and find_spec("pillow_heif"):
        import_module("pillow_heif").register_heif_opener()
    return Image.open(file)


def _head(file: Path | BytesIO) -> bytes:
    if isinstance(file, BytesIO):
        return file.getvalue()[:HEAD_BYTES]
    with file.open("rb") as opened:
        return opened.read(HEAD_BYTES)


def is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS


def remedy(head: bytes) -> str:
    """What a file of no known format is, by its first bytes, and what to do about it."""
    if is_heic(head):
        return "it is a HEIC picture; pip install pillow-heif, or convert it to JPEG"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "it is an AVIF picture; install a Pillow that reads AVIF (11.3 or later), or convert it to PNG"
    if b"<svg" in head.lower():
        return "it is an SVG drawing; convert it to PNG"
    if head.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")):
        return "it is a JPEG XL picture; convert it to PNG"
    return "not an image in a known format"


def _upright_rgb(image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_DECODED_PIXELS:
        raise BadSample(f"{image.width}x{image.height} pixels are more than the limit of {MAX_DECODED_PIXELS}")
    if image.width == 0 or image.height == 0:
        raise BadSample("the image has no pixels")
    upright = _upright(image)
    if upright.mode.startswith(("I", "F")):
        upright = _grey8(upright, is_pgm=image.format == "PPM")
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
    return to_rgb(upright)


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says; as it is where that cannot be parsed."""
    image.load()  # a picture that is cut off must fail here, not where its EXIF is read
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 -- EXIF is untrusted bytes too: ValueError, SyntaxError, struct.error, ...
        return image


def _grey8(image: Image.Image, *, is_pgm: bool) -> Image.Image:
    """8 bits of grey, of more bits or of floating point. Pillow's own conversion clips at 255."""
    levels = np.nan_to_num(np.asarray(image).astype(np.float64))
    return Image.fromarray(
        np.clip(levels * 256 / _num_levels(image.mode, levels.max(), is_pgm), 0, 255).astype(np.uint8)
    )


def _num_levels(mode: str, highest: float, is_pgm: bool) -> float:
    """The number of levels from black to white. Only the modes of 16 bits and Pillow's reader of PGM state it; of the
    others it is the usual range that holds the highest value."""
    if mode.startswith("I;16") or is_pgm:
        return 2**16
    if mode == "F" and highest <= 1:
        return 256 / 255
    return next((num for num in (2**8, 2**16) if highest < num), 2**32)

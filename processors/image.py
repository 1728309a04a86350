"""Images: from a path, encoded bytes, a data URI or a PIL image to an upright RGB picture within a pixel budget.

Transparency is composited on white, as in qwen-vl-utils. Not here: patches and normalisation, which the stock image
processor does. Of an animation, only the first frame is used.
"""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, ImageOps
from qwen_vl_utils.vision_process import to_rgb

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.source import locate, naming, reject_unknown
from uniopd_mm.types import BadSample, UserError

# Pillow warns above this size and refuses twice as much. A picture this large decodes to 270 MB.
MAX_DECODED_PIXELS = 89_478_485
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
        with Image.open(file) as image:
            return _upright_rgb(image)
    except (BadSample, MemoryError):
        raise
    except Exception as error:  # untrusted bytes: Pillow's plugins raise OSError, SyntaxError, struct.error and others
        reason = "not an image in a known format" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        raise BadSample(f"cannot be decoded as an image: {reason}") from error


def _upright_rgb(image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_DECODED_PIXELS:
        raise BadSample(f"{image.width}x{image.height} pixels are more than the limit of {MAX_DECODED_PIXELS}")
    if image.width == 0 or image.height == 0:
        raise BadSample("the image has no pixels")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        # Pillow clips 16-bit grey at 255 when converting; keep the high byte instead.
        upright = upright.point(lambda value: value / 256).convert("L")
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
    return to_rgb(upright)

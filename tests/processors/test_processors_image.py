"""Images from every kind of source, upright, in RGB, within the budget; and what cannot be used, said in one line."""

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, features

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.image import load_image, open_image
from uniopd_mm.types import BadSample

BUDGET = PixelBudget(factor=28, min_pixels=56 * 56, max_pixels=28 * 28 * 1280)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners() -> Image.Image:
    """56 wide, 84 high: red, green / blue, white in the corners."""
    image = Image.new("RGB", (56, 84))
    for colour, place in ((RED, (0, 0)), (GREEN, (28, 0)), (BLUE, (0, 42)), (WHITE, (28, 42))):
        image.paste(colour, (*place, place[0] + 28, place[1] + 42))
    return image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_all_sources_agree(tmp_path: Path) -> None:
    data = encoded(corners())
    path = tmp_path / "a picture.png"
    path.write_bytes(data)
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    for source in (path, str(path), path.as_uri(), data, bytearray(data), memoryview(data), uri, corners()):
        image = load_image(source, BUDGET)
        assert (image.mode, image.size) == ("RGB", (56, 84))
        np.testing.assert_array_equal(np.array(image), np.array(corners()))


# The eight EXIF orientations and the operation on the upright picture that stores it so (EXIF 2.32, tag 0x0112).
STORED = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, 1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, -1),
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.array(corners()))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    image = load_image(encoded(stored, kind, exif=exif, **options), BUDGET)
    assert image.size == (56, 84)
    centres = [image.getpixel(place) for place in ((14, 21), (42, 21), (14, 63), (42, 63))]
    np.testing.assert_allclose(centres, [RED, GREEN, BLUE, WHITE], atol=3)


def test_transparency_is_composited_on_white() -> None:
    image = Image.new("RGBA", (56, 56), (255, 0, 0, 0))
    image.paste((0, 0, 255, 128), (0, 0, 28, 56))
    result = load_image(encoded(image), BUDGET)
    assert result.getpixel((40, 10)) == WHITE
    # Half-covering blue over white: 255 * (1 - 128/255) = 127.
    np.testing.assert_allclose(result.getpixel((10, 10)), (127, 127, 255), atol=1)


@pytest.mark.parametrize(
    ("mode", "fill", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, WHITE),
        ("LA", (0, 0), WHITE),
        ("CMYK", (0, 0, 0, 0), WHITE),
        ("I;16", 128 * 256, (128, 128, 128)),
        ("I;16B", 128 * 256 + 7, (128, 128, 128)),
        ("I", 100, (100, 100, 100)),
        ("I", 128 * 256, (128, 128, 128)),
        ("F", 0.5, (127, 127, 127)),
        ("F", 100.0, (100, 100, 100)),
    ],
)
def test_other_modes_become_rgb(mode: str, fill: object, expected: tuple[int, int, int]) -> None:
    image = load_image(encoded(Image.new(mode, (56, 56), fill), "TIFF"), BUDGET)
    assert image.mode == "RGB"
    assert image.getpixel((20, 20)) == expected


def test_grey_maps_of_16_bits_are_scaled() -> None:
    """A PGM states its white; dark pictures stay dark."""
    for highest, level, expected in ((65535, 65535, 255), (65535, 200, 0), (65535, 0x8000, 128), (1023, 512, 128)):
        content = b"P5 56 56 %d " % highest + level.to_bytes(2) * 56 * 56
        np.testing.assert_allclose(np.array(load_image(content, BUDGET)), expected, atol=1)


def test_exif_that_cannot_be_parsed_is_left_out() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n  20\nnot hexadecimal")
    assert load_image(encoded(corners(), pnginfo=info), BUDGET).getpixel((14, 63)) == BLUE
    broken = load_image(encoded(corners(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", quality=95), BUDGET)
    np.testing.assert_allclose(broken.getpixel((14, 63)), BLUE, atol=3)


HEIC = b"\0\0\0\x18ftypheic" + bytes(12) + b"mif1heic" + bytes(40)


def test_formats_that_pillow_does_not_read_have_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for content, reason in (
        (HEIC, "HEIC picture; pip install pillow-heif, or convert it to JPEG"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing; convert it to PNG"),
        (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "JPEG XL picture; convert it to PNG"),
    ):
        with pytest.raises(BadSample, match=reason):
            load_image(content, BUDGET)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif_is_read() -> None:
    picture = load_image(encoded(corners(), "AVIF", quality=95), BUDGET)
    np.testing.assert_allclose(picture.getpixel((14, 63)), BLUE, atol=6)


def test_heic_is_read_with_the_plug_in(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(corners()).save(tmp_path / "a.heic", quality=95)
    np.testing.assert_allclose(load_image(tmp_path / "a.heic", BUDGET).getpixel((14, 63)), BLUE, atol=6)


def test_palette_with_a_transparent_entry() -> None:
    palette = Image.new("P", (56, 56), 0)
    palette.putpalette([*GREEN, *BLUE])
    palette.paste(1, (0, 0, 28, 56))
    assert load_image(encoded(palette), BUDGET).getpixel((10, 10)) == BLUE
    assert load_image(encoded(palette, transparency=1), BUDGET).getpixel((10, 10)) == WHITE
    assert load_image(encoded(palette, transparency=1), BUDGET).getpixel((40, 10)) == GREEN


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20000, 100), (100, 20000), (3, 500)])
def test_extreme_shapes_that_can_be_used(width: int, height: int) -> None:
    image = load_image(Image.new("RGB", (width, height), RED), BUDGET)
    assert image.width % 28 == image.height % 28 == 0
    assert BUDGET.min_pixels <= image.width * image.height <= BUDGET.max_pixels
    assert image.getpixel((image.width // 2, image.height // 2)) == RED


@pytest.mark.parametrize(("width", "height"), [(20000, 1), (20000, 99), (1, 201)])
def test_extreme_shapes_that_cannot(width: int, height: int) -> None:
    with pytest.raises(BadSample, match=rf"{width}x{height}.*aspect ratio"):
        load_image(encoded(Image.new("RGB", (width, height))), BUDGET)


def test_decompression_bombs_are_refused_without_decoding() -> None:
    data = encoded(Image.new("1", (20000, 20000)))
    assert len(data) < 100_000
    for content in (data, data[:100]):  # decoding the second would fail for another reason
        with pytest.raises(BadSample, match="pixels"):
            load_image(content, BUDGET)


def test_options_override_the_budget() -> None:
    image = Image.new("RGB", (560, 560))
    assert load_image(image, BUDGET, {"max_pixels": 112 * 112}).size == (112, 112)
    assert load_image(image, BUDGET, {"min_pixels": 1120 * 1120, "max_pixels": 2000 * 2000}).size == (1120, 1120)
    bad = (({"colour": 1}, "max_pixels"), ({"max_pixels": 1}, "max_pixels=1"), ({"max_pixels": "1"}, "str"))
    for options, reason in bad:
        with pytest.raises(BadSample, match=reason):
            load_image(image, BUDGET, options)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_unreadable_sources_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes(encoded(Image.effect_noise((64, 64), 50))[:600])
    for name, reason in (
        ("missing.png", "no such file"),
        ("empty.png", "empty"),
        ("text.png", "known format"),
        ("cut.png", "decoded"),
        ("", "not a file"),
    ):
        path = tmp_path / name
        with pytest.raises(BadSample, match=reason) as caught:
            load_image(str(path), BUDGET)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
    for source, reason in (
        (b"", "empty"),
        (b"GIF89a", "decoded"),
        ("data:image/png;base64,@@@", "base64"),
        ("data:image/png,abc", "base64"),
        ("https://example.org/a.png", "not fetched"),
        ("a\0b", "no such file"),
        ("x" * 5000, r"xx\.\.\.: .*long"),
        (17, "int"),
        (None, "NoneType"),
    ):
        with pytest.raises(BadSample, match=reason):
            load_image(source, BUDGET)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_bad_samples_or_images(data: st.DataObject) -> None:
    """Bytes changed at random: a picture or a BadSample, nothing else."""
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    exif = Image.Exif()
    exif[0x0112] = 6
    blob = bytearray(encoded(corners(), kind, exif=exif))
    for _ in range(data.draw(st.integers(1, 6))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    blob = blob[: data.draw(st.integers(1, len(blob)))]
    try:
        image, _ = open_image(bytes(blob))
    except BadSample as error:
        assert str(error).startswith(f"<{len(blob)} bytes>: ")
    else:
        assert image.mode == "RGB"

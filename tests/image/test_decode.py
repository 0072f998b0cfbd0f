from __future__ import annotations

import csv
import io
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import probe
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode, decode_opacity, decode_with_colour, decoders
from cxrfeat.types import Grey
from tests.image.encode import HEIGHT, WIDTH, encode, noise, png, png_header, png_rows, ramp, tiff

RAW = Path(__file__).parents[3] / "shared" / "data" / "cxr-raw"
DEEP = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)


def palette(*, transparency: bytes | int | None = None) -> Image.Image:
    image = Image.fromarray(ramp()).quantize(8)
    if transparency is not None:
        image.info.update(transparency=transparency)
    return image


def by_pillow(image: Image.Image) -> NDArray[np.uint8]:
    """The rule of the design, in Pillow's words: on black, then luminance."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.asarray((image.convert("RGB") if image.mode == "CMYK" else image).convert("L"))


COLOUR = np.stack([noise(1), noise(2), noise(3), noise(4)], axis=-1)


EIGHT_BIT: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "grey PNG": (Image.fromarray(ramp()), "PNG", {}),
    "grey and alpha PNG": (Image.fromarray(COLOUR[..., :2], "LA"), "PNG", {}),
    "colour PNG": (Image.fromarray(COLOUR[..., :3]), "PNG", {}),
    "colour and alpha PNG": (Image.fromarray(COLOUR), "PNG", {}),
    "palette PNG": (palette(), "PNG", {}),
    "palette PNG with one transparent entry": (palette(transparency=3), "PNG", {"transparency": 3}),
    "palette PNG with alpha per entry": (palette(transparency=bytes(range(0, 160, 20))), "PNG", {}),
    "one-bit PNG": (Image.fromarray(ramp()).convert("1"), "PNG", {}),
    "grey JPEG": (Image.fromarray(ramp()), "JPEG", {}),
    "progressive colour JPEG": (Image.fromarray(COLOUR[..., :3]), "JPEG", {"progressive": True}),
    "CMYK JPEG": (Image.fromarray(COLOUR[..., :3]).convert("CMYK"), "JPEG", {}),
    "lossless WebP": (Image.fromarray(COLOUR[..., :3]), "WEBP", {"lossless": True}),
    "lossy WebP with alpha": (Image.fromarray(COLOUR), "WEBP", {}),
    "grey BMP": (Image.fromarray(ramp()), "BMP", {}),
    "colour BMP": (Image.fromarray(COLOUR[..., :3]), "BMP", {}),
    "one-bit BMP": (Image.fromarray(ramp()).convert("1"), "BMP", {}),
    "grey TIFF": (Image.fromarray(ramp()), "TIFF", {}),
    "LZW colour TIFF": (Image.fromarray(COLOUR[..., :3]), "TIFF", {"compression": "tiff_lzw"}),
    "JPEG in TIFF": (Image.fromarray(COLOUR[..., :3]), "TIFF", {"compression": "jpeg"}),
    "palette TIFF": (palette(), "TIFF", {}),
    "CMYK TIFF": (Image.fromarray(COLOUR[..., :3]).convert("CMYK"), "TIFF", {}),
    "group 4 one-bit TIFF": (Image.fromarray(ramp()).convert("1"), "TIFF", {"compression": "group4"}),
}


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_eight_bit_images_are_pillows_luminance_on_black(name: str) -> None:
    image, kind, options = EIGHT_BIT[name]
    content = encode(image, kind, **options)
    grey = decode(content)
    assert grey.dtype == np.uint8
    assert grey.flags.c_contiguous
    assert grey.flags.writeable
    np.testing.assert_array_equal(grey, by_pillow(Image.open(io.BytesIO(content))))
    header = probe(content, ".JPG")
    assert (header.format, header.suffix, header.width, header.height) == (kind, ".jpg", WIDTH, HEIGHT)
    assert header.file_bytes == len(content)


def test_one_transparent_grey_becomes_black_at_any_depth() -> None:
    rows = np.tile(np.array([0x1B], np.uint8), (64, 16))  # 2-bit pixels 0, 1, 2, 3
    content = png(png_header(64, 64, depth=2), (b"tRNS", struct.pack(">H", 2)), png_rows(rows), (b"IEND", b""))
    assert decode(content)[0, :4].tolist() == [0, 85, 0, 255]
    assert probe(content, ".png").bits == 2


@pytest.mark.parametrize("bits", [1, 8])
def test_a_tiff_whose_low_values_are_white_is_turned_round(bits: int) -> None:
    values = (ramp() > 100).astype(np.uint8) if bits == 1 else ramp()
    data = np.packbits(values, axis=1) if bits == 1 else values
    content = tiff(data, photometric=0)
    if bits == 1:
        content = tiff(data, photometric=0, t256=WIDTH, t258=1)
    expected = np.where(values, 0, 255) if bits == 1 else 255 - values
    np.testing.assert_array_equal(decode(content), expected)


@pytest.mark.parametrize("colour", [2, 4, 6])
def test_sixteen_bit_colour_png_keeps_its_high_byte(colour: int) -> None:
    channels = {2: 3, 4: 2, 6: 4}[colour]
    samples = np.repeat(DEEP[..., None], channels, axis=2)
    if colour != 2:
        samples[..., -1] = 65535
    rows = samples.astype(">u2").reshape(HEIGHT, -1)
    content = png(png_header(WIDTH, HEIGHT, 16, colour), png_rows(rows), (b"IEND", b""))
    grey = decode(content)
    assert grey.dtype == np.uint8
    np.testing.assert_allclose(grey, DEEP >> 8, atol=1)
    assert probe(content, ".png").bits == 16


def test_opacity_is_upright_and_whole_without_an_alpha() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    seen = Image.merge("LA", (Image.new("L", (WIDTH, HEIGHT)), Image.fromarray(ramp())))
    np.testing.assert_array_equal(decode_opacity(encode(seen, "PNG", exif=exif)), ramp().T[:, ::-1])
    assert decode_opacity(encode(ramp(), "PNG")).min() == 255
    with pytest.raises(BadImageError, match="cut short"):
        decode_opacity(encode(seen, "PNG")[:-20])


def test_the_decoders_are_named_with_their_versions() -> None:
    found = decoders()
    assert found["pillow"] == PIL.__version__
    assert set(found) >= {"pillow", "libwebp", "libtiff"}
    assert all(version[0].isdigit() for version in found.values())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(ramp())
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    grey = decode(encode(lying, kind, exif=exif, **options)).astype(int)
    ways = {
        1: ramp(),
        2: ramp()[:, ::-1],
        3: ramp()[::-1, ::-1],
        4: ramp()[::-1],
        5: ramp().T,
        6: np.rot90(ramp(), -1),
        7: ramp()[::-1, ::-1].T,
        8: np.rot90(ramp()),
    }
    assert grey.shape == ways[orientation].shape
    np.testing.assert_allclose(grey, ways[orientation], atol=4)
    header = probe(encode(lying, kind, exif=exif, **options), "")
    assert (header.height, header.width) == grey.shape


def test_exif_orientation_holds_for_sixteen_bits_and_behind_the_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    expected = np.rot90(DEEP / 257, -1)
    np.testing.assert_allclose(decode(encode(DEEP, "TIFF", exif=exif)), expected, atol=1e-2)
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    content = png(png_header(WIDTH, HEIGHT), png_rows(ramp()), (b"eXIf", body), (b"IEND", b""))
    np.testing.assert_array_equal(decode(content), np.rot90(ramp(), -1))
    assert probe(content, "").width == HEIGHT


@pytest.mark.filterwarnings("ignore::UserWarning")  # the command line runs without warnings as errors
def test_damaged_exif_beside_sound_pixels_is_ignored() -> None:
    content = encode(ramp(), "PNG", exif=b"Exif\0\0II\x2a\0\x08\0\0\0\xff\xff rubbish")
    np.testing.assert_array_equal(decode(content), ramp())


def test_pillows_warnings_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(encode(ramp(), "JPEG", exif=b"Exif\0\0II\x2a\0\x08\0\0\0\xff\xff rubbish"))
    code = (
        f"from cxrfeat.image.decode import decode; from pathlib import Path; decode(Path({str(path)!r}).read_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_first_frame_is_taken() -> None:
    frames = [Image.fromarray(noise(seed)) for seed in range(3)]
    for kind in ("TIFF", "PNG"):
        content = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(decode(content), noise(0))
    colours = [Image.fromarray(COLOUR[..., :3]), Image.fromarray(COLOUR[..., 1:])]
    content = encode(colours[0], "WEBP", save_all=True, append_images=colours[1:], lossless=True)
    np.testing.assert_array_equal(decode(content), by_pillow(colours[0]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "TIFF LZW", "TIFF deflate"])
def test_a_cut_file_is_refused_or_has_lost_no_pixel(kind: str) -> None:
    options = {"compression": f"tiff_{kind.split()[1].lower()}"} if " " in kind else {}
    content = encode(COLOUR[..., :3], kind.split()[0], **options)
    whole = decode(content)
    lengths = {*range(0, len(content), 97), *range(len(content) - 40, len(content))}
    for length in sorted(lengths):
        grey = decoded_or_refused(content[:length])
        if isinstance(grey, BadImageError):
            continue
        assert kind != "PNG", "a PNG without its last bytes is always refused"
        np.testing.assert_array_equal(grey, whole)


def decoded_or_refused(content: bytes) -> Grey | BadImageError:
    try:
        return decode(content)
    except BadImageError as error:
        return error


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the metadata; the command line ignores them
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "TIFF LZW"])
def test_rubbish_gives_an_image_or_bad_image_error(kind: str) -> None:
    options = {"compression": "tiff_lzw"} if " " in kind else {}
    exif = (
        {} if kind == "BMP" else {"exif": b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"}
    )
    content = encode(COLOUR[..., :3], kind.split()[0], **options, **exif)
    rng = np.random.default_rng(7)
    for _ in range(200):
        broken = bytearray(content)
        way = rng.integers(4)
        reach = len(broken) if rng.random() < 0.5 else min(len(broken), 200)  # half of them in the headers
        if way == 0:
            for place in rng.integers(0, reach, rng.integers(1, 9)):
                broken[place] ^= 1 << int(rng.integers(8))
        elif way == 1:
            broken = broken[: rng.integers(reach)]
        elif way == 2:
            start, size = rng.integers(0, reach, 2)
            broken[start : start + size] = rng.bytes(int(rng.integers(64)))
        else:
            start, other = rng.integers(0, reach, 2)
            broken[start:start] = broken[other : other + 64]
        outcome = decoded_or_refused(bytes(broken))
        if isinstance(outcome, BadImageError):
            assert outcome.stage in ("header", "decode")
            assert outcome.reason
            assert outcome.reason.isprintable()
        else:
            assert outcome.ndim == 2
            assert outcome.dtype in (np.uint8, np.float32)


def test_decoding_in_threads_gives_what_one_thread_gives() -> None:
    contents = [encode(noise(seed), kind) for seed in range(8) for kind in ("PNG", "JPEG", "TIFF")]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(map(decode, contents), pool.map(decode, contents), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.skipif(not RAW.is_dir(), reason="../shared/data/cxr-raw is not here")
def test_published_images_are_read_as_pillow_reads_them() -> None:
    with (RAW / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    for row in rows:
        content = read_file(RAW / row["image"])
        header = probe(content, Path(row["image"]).suffix)
        known = (row["format"], row["mode"], int(row["width"]), int(row["height"]))
        assert (header.format, header.mode, header.width, header.height) == known
        np.testing.assert_array_equal(decode(content), by_pillow(Image.open(io.BytesIO(content))), err_msg=row["image"])


def test_colour_is_the_largest_mean_difference_of_two_channels() -> None:
    red, green, blue = (noise(seed) for seed in range(3))
    picture = np.stack([red, green, blue], axis=-1)
    pairs = ((red, green), (green, blue), (blue, red))
    expected = max(np.abs(one.astype(int) - other).mean() for one, other in pairs)
    grey, colour = decode_with_colour(encode(picture, "PNG"))
    assert colour == pytest.approx(expected)
    np.testing.assert_array_equal(grey, decode(encode(picture, "PNG")))


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (Image.fromarray(ramp()), "PNG", 0.0),
        (Image.fromarray(ramp()).convert("RGB"), "PNG", 0.0),
        (Image.fromarray(ramp()).convert("LA"), "PNG", 0.0),
        (Image.fromarray(ramp()).convert("P"), "PNG", 0.0),
        (Image.fromarray(ramp().astype(np.uint16) * 257), "PNG", 0.0),
        (Image.new("RGB", (WIDTH, HEIGHT), (200, 10, 10)), "PNG", 190.0),
        (Image.new("P", (WIDTH, HEIGHT), 0), "PNG", 0.0),
        (Image.new("RGBA", (WIDTH, HEIGHT), (200, 10, 10, 0)), "PNG", 0.0),  # nothing of it is seen
        (Image.new("RGBA", (WIDTH, HEIGHT), (200, 10, 10, 255)), "WEBP", 190.0),
        (Image.fromarray(ramp()).convert("RGB"), "JPEG", 0.0),
    ],
)
def test_what_is_stored_in_colour_may_be_grey(image: Image.Image, kind: str, expected: float) -> None:
    assert decode_with_colour(encode(image, kind))[1] == pytest.approx(expected, abs=1.5)

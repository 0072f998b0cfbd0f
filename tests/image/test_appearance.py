from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.image import appearance
from cxrfeat.image.appearance import look, pixel_digest
from cxrfeat.image.decode import decode
from cxrfeat.system import compiled
from cxrfeat.system.compiled import Compiled
from cxrfeat.types import Grey
from tests.effort import expensive


@pytest.fixture(scope="module", autouse=True, params=["numpy", "compiled"])
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it by NumPy's sums, and again by compiled loops."""
    kernel = Compiled("cxrfeat.image.kernel")
    if request.param == "compiled":
        kernel.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_wanted", threading.Event())
        patch.setattr(appearance, "KERNEL", kernel)
        yield


def picture(seed: int, size: int = 256) -> NDArray[np.uint8]:
    """Soft blobs: what differs between two X-rays is of low frequency."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def portrait(image: Grey) -> NDArray[np.uint8]:
    return look(image).portrait


def thumbnail(image: Grey) -> NDArray[np.uint8]:
    return look(image).thumbnail


def black_border(image: Grey) -> float:
    return look(image).black_border


def cell_means(image: Grey, side: int, least: int) -> NDArray[np.float64]:
    """One cell after the other, as the words say it; where an image is too narrow, pixels count several times."""
    if min(image.shape) < least:
        image = np.kron(image, np.ones([-(-least // length) for length in image.shape], np.uint8))
    rows, columns = ([length * edge // side for edge in range(side + 1)] for length in image.shape)
    cells = [
        [image[top:bottom, left:right].mean(dtype=np.float64) for left, right in pairwise(columns)]
        for top, bottom in pairwise(rows)
    ]
    return np.array(cells)


def border(image: Grey) -> float:
    """Black rows and columns peeled off, one by one."""
    inside: NDArray[np.generic] = image
    for _ in range(4):
        inside = np.rot90(inside)
        while inside.size and bool((inside[0] <= 8).all()):
            inside = inside[1:]
    return 1 - inside.size / image.size


@pytest.mark.few(1)
@expensive(15, 150)
@given(
    height=st.integers(1, 130),
    width=st.integers(1, 130),
    seed=st.integers(0, 99),
    deep=st.booleans(),
    dark=st.integers(0, 4),
    lit=st.sampled_from([8, 9]),
)
def test_the_look_is_what_the_words_say(height: int, width: int, seed: int, deep: bool, dark: int, lit: int) -> None:
    rng = np.random.default_rng(seed)
    image: Grey = rng.integers(0, 256, (height, width), dtype=np.uint8)
    if dark:  # black at two sides, with a speck somewhere
        image[: dark * 3] = image[:, max(0, width - dark * 9) :] = 7
        image[rng.integers(height), rng.integers(width)] = lit
    if deep:
        image = (image + rng.integers(0, 257, image.shape) / 257).clip(0, 255).astype(np.float32)
    seen = look(image)
    assert seen.mean_grey == pytest.approx(image.mean(dtype=np.float64), rel=1e-12)
    assert seen.black_border == pytest.approx(border(image), abs=1e-12)
    small, large = cell_means(image, 8, 32), cell_means(image, 40, 40)
    stretched = (large - large.min()) * (255 / (np.ptp(large) or 1))
    for found, means in ((seen.thumbnail, small), (seen.portrait, stretched)):
        assert found.dtype == np.uint8
        sure = np.abs(means % 1 - 0.5) > 1e-6  # which way a half goes hangs on the last bit
        np.testing.assert_array_equal(found[sure], np.rint(means)[sure])


def test_bands_of_more_rows_than_16_bits_can_add_up_are_right() -> None:
    image = np.full((40 * 258 + 3, 41), 255, np.uint8)
    image[:, 20:] = 254
    seen = look(image)
    assert seen.mean_grey == image.mean(dtype=np.float64)
    assert (seen.portrait[:, :19] == 255).all()
    assert (seen.portrait[:, 21:] == 0).all()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (np.s_[:0], 0.0),
        (np.s_[:20], 0.2),
        (np.s_[-5:], 0.05),
        (np.s_[:, 90:], 0.1),
        (np.s_[40:60], 0.0),  # a dark band inside is no border
        (np.s_[:], 1.0),
    ],
)
def test_black_border_is_the_area_of_black_rows_and_columns_at_the_edges(
    where: tuple[slice, ...], expected: float
) -> None:
    image = np.full((100, 100), 200, np.uint8)
    image[where] = 8
    assert black_border(image) == pytest.approx(expected)
    assert black_border(image.astype(np.float32)) == pytest.approx(expected)


def test_the_thumbnail_is_the_mean_of_each_cell() -> None:
    image = np.kron(np.arange(64).reshape(8, 8), np.ones((16, 16))).astype(np.uint8)
    np.testing.assert_array_equal(thumbnail(image), np.arange(64).reshape(8, 8))
    np.testing.assert_array_equal(thumbnail(image.astype(np.float32)), thumbnail(image))
    assert thumbnail(picture(1, 33)).shape == (8, 8)
    assert thumbnail(np.full((5, 7), 9, np.uint8)).tolist() == [[9] * 8] * 8


def test_the_portrait_is_the_mean_of_each_cell_stretched() -> None:
    cells = np.random.default_rng(2).permutation(1600).reshape(40, 40).astype(np.float32) / 16 + 50
    image = np.kron(cells, np.ones((3, 5), np.float32))
    expected = np.rint((cells - cells.min()) / np.ptp(cells) * 255)
    np.testing.assert_array_equal(portrait(image), expected)
    assert (portrait(image).min(), portrait(image).max()) == (0, 255)


def test_portraits_keep_the_detail_of_an_image_of_few_grey_levels() -> None:
    """12 bits in a file of 16 fill a sixteenth of the range."""
    image = picture(5).astype(np.float32)
    dark = (image / 16).astype(np.float32)
    np.testing.assert_array_equal(portrait(dark), portrait(image))
    np.testing.assert_array_equal(portrait(dark + np.float32(200)), portrait(image))
    difference = portrait(255 - image).astype(int) + portrait(image) - 255
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(16, 16), (1, 257), (257, 1), (16, 17), (1, 258), (258, 1)],  # of a cell: 16 bits hold its sum, or do not
)
def test_sums_of_bytes_do_not_run_over(rows: int, columns: int) -> None:
    image = np.full((40 * rows, 40 * columns), 255, np.uint8)
    image[: 20 * rows] = 254
    found = look(image)
    assert found.mean_grey == 254.5
    np.testing.assert_array_equal(found.thumbnail, np.repeat([254, 255], 32).reshape(8, 8))
    np.testing.assert_array_equal(found.portrait, np.repeat([0, 255], 800).reshape(40, 40))


@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_image_of_one_value_has_a_black_portrait(value: int) -> None:
    assert portrait(np.full((61, 47), value, np.uint8)).tolist() == [[0] * 40] * 40


def test_the_pixel_digest_is_that_of_the_pixels_alone() -> None:
    image = picture(6)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=9)
    assert pixel_digest(decode(file.getvalue())) == pixel_digest(image)
    assert pixel_digest(np.asfortranarray(image)) == pixel_digest(image)
    assert pixel_digest(image.astype(">f4")) == pixel_digest(image.astype("<f4"))
    changed = image.copy()
    changed[-1, -1] ^= 1
    others: list[Grey] = [changed, image[::-1], image.T, image.reshape(128, 512), image[:-1], image.astype(np.float32)]
    digests = {pixel_digest(one) for one in [image, *others]}
    assert len(digests) == 7
    assert max(digests).bit_length() <= 64


def test_the_pixel_digest_never_changes() -> None:
    """It is stored, and compared between files."""
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    said = blake2b(b"2 3 uint8" + bytes(range(6)), digest_size=8).digest()
    assert pixel_digest(image) == int.from_bytes(said, "little")

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from cxrfeat.image import figure
from cxrfeat.image.decode import decode
from cxrfeat.image.letters import find_letters, letter_area, remove_letters
from cxrfeat.phantom.drawing import Phantom, draw_phantom
from cxrfeat.phantom.spec import Letters, PhantomSpec
from cxrfeat.system import compiled
from cxrfeat.system.compiled import Compiled
from cxrfeat.types import Grey

SIZES = [(128, 12), (256, 9), (600, 2)]
"""Sizes of phantoms, and patients of each class."""


@pytest.fixture(scope="module", autouse=True, params=["numpy", "compiled"])
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it by NumPy, and again by compiled loops."""
    kernel = Compiled("cxrfeat.image.letter_kernel")
    if request.param == "compiled":
        kernel.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_wanted", threading.Event())
        patch.setattr(compiled, "LEAST_STEPS", math.inf)
        patch.setattr(figure, "KERNEL", kernel)
        yield


def drawn(letters: Letters, size: int, patients: int) -> Iterator[Phantom]:
    spec = PhantomSpec(letters=letters, size=size, seed=11)
    for class_index in range(3):
        for patient in range(patients):
            yield draw_phantom(spec, class_index, patient, 0)


def found_in(phantom: Phantom) -> bool:
    assert phantom.letter is not None
    x0, y0, x1, y1 = phantom.letter
    return bool(find_letters(phantom.image)[y0:y1, x0:x1].mean() > 0.2)


def field(height: int = 300, width: int = 300) -> NDArray[np.uint8]:
    """A body: brighter in the middle, soft everywhere."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(40 + 140 * np.exp(-(x**2) - y**2 / 2), np.uint8)


def with_l(image: NDArray[np.uint8], top: int, left: int, value: int = 250) -> NDArray[np.uint8]:
    image = image.copy()
    image[top : top + 18, left : left + 3] = value
    image[top + 15 : top + 18, left : left + 12] = value
    return image


@pytest.mark.parametrize(
    ("size", "patients"), [SIZES[0], *(pytest.param(*size, marks=pytest.mark.slow) for size in SIZES[1:])]
)
def test_letters_of_phantoms_are_found_and_without_letters_there_are_none(size: int, patients: int) -> None:
    with_letters = [phantom for phantom in drawn("random", size, patients) if phantom.letter is not None]
    assert len(with_letters) > patients
    assert np.mean([found_in(phantom) for phantom in with_letters]) >= 0.95
    assert np.mean([find_letters(phantom.image).any() for phantom in drawn("none", size, patients)]) <= 0.02


def test_the_mask_lies_on_the_letter_alone() -> None:
    mask = find_letters(with_l(field(), 20, 260))
    assert mask.shape == (300, 300)
    assert mask.dtype == np.bool_
    there = ndimage.binary_dilation(with_l(np.zeros((300, 300), np.uint8), 20, 260) > 0, iterations=4)
    assert mask[with_l(np.zeros((300, 300), np.uint8), 20, 260) > 0].all()
    assert not mask[~there].any()


def test_a_word_is_found_whole_and_one_in_the_middle_is_not() -> None:
    image = field()
    for place in range(5):
        image = with_l(image, 15, 20 + 16 * place)
    mask = find_letters(image)
    assert all(mask[15:33, 20 + 16 * place : 23 + 16 * place].all() for place in range(5))
    assert not find_letters(with_l(field() // 2, 140, 145)).any(), "an anatomical bright spot may be there"


def _tube(image: NDArray[np.uint8]) -> None:
    for column in range(20, 280):
        row = int(40 + 25 * np.sin(column / 40))
        image[row : row + 4, column] = 240


def _rib(image: NDArray[np.uint8]) -> None:
    y, x = np.mgrid[:300, :300]
    image += (60 * np.exp(-(((y - 45 - x / 20) / 4.0) ** 2) - ((x - 60) / 30.0) ** 2)).astype(np.uint8)


def _shoulder(image: NDArray[np.uint8]) -> None:
    y, x = np.mgrid[:300, :300]
    image[np.hypot(y - 40, x - 20) < 45] = 230


def _black_sides(image: NDArray[np.uint8]) -> None:
    image[:, :12] = 0
    image[:9] = 0


def _strip(image: NDArray[np.uint8]) -> None:
    image[:, :10] = 0
    image[:, 5:7] = 255


@pytest.mark.parametrize("draw", [_tube, _rib, _shoulder, _black_sides, _strip])
def test_what_is_no_letter_is_left_alone(draw: object) -> None:
    image = field()
    assert callable(draw)
    draw(image)
    assert not find_letters(image).any()
    assert remove_letters(image) is image


@pytest.mark.parametrize("factor", [1, 3])
def test_the_type_of_the_pixels_does_not_matter(factor: int) -> None:
    image = np.kron(with_l(field(), 20, 260), np.ones((factor, factor), np.uint8))[: 299 * factor - 1, 1:]
    mask = find_letters(image)
    assert mask.any()
    assert letter_area(image) == mask.mean()
    np.testing.assert_array_equal(find_letters(image.astype(np.float32)), mask)
    np.testing.assert_array_equal(find_letters(np.asfortranarray(image)), mask)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("factor", [1, 4])
def test_removing_gives_what_was_there_before(deep: bool, factor: int) -> None:
    before = np.kron(field(), np.ones((factor, factor), np.uint8))
    drawn = np.kron(with_l(field(), 20, 260), np.ones((factor, factor), np.uint8))
    image: Grey = drawn.astype(np.float32) if deep else drawn
    original = image.copy()
    mask, filled = find_letters(image), remove_letters(image)
    np.testing.assert_array_equal(image, original, err_msg="the image that was given is left as it is")
    assert filled.dtype == image.dtype
    assert np.abs(filled.astype(int) - before.astype(int)).max() <= 4
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    assert not find_letters(filled).any()


def test_letters_on_black_are_filled_with_black() -> None:
    filled = remove_letters(with_l(np.zeros((200, 260), np.uint8), 12, 220))
    assert not filled.any()


@pytest.mark.few(1)
def test_removing_leaves_phantoms_without_letters() -> None:
    left = [find_letters(remove_letters(phantom.image)).any() for phantom in drawn("random", 256, 6) if phantom.letter]
    assert len(left) > 6
    assert np.mean(left) <= 0.1


@settings(max_examples=30)
@given(
    height=st.integers(32, 90),
    width=st.integers(32, 90),
    seed=st.integers(0, 9),
    deep=st.booleans(),
    flat=st.booleans(),
)
def test_any_image_gives_a_mask_and_an_image_of_its_own_kind(
    height: int, width: int, seed: int, deep: bool, flat: bool
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    image = np.full_like(image, seed * 28) if flat else image
    kinds: tuple[Grey, Grey] = (image, image.astype(np.float32))
    grey = kinds[deep]
    mask, filled = find_letters(grey), remove_letters(grey)
    assert letter_area(grey) == mask.mean()
    assert mask.shape == filled.shape == (height, width)
    assert mask.dtype == np.bool_
    assert filled.dtype == grey.dtype
    assert np.isfinite(filled).all()
    assert not (flat and mask.any())


def test_real_markers_are_found_and_burned_in_words_too(shared: Path) -> None:
    """Chosen by looking at them: these have letters, those have none."""
    folder = shared / "data" / "cxr299"
    lettered = ["COVID-25", "COVID-58", "COVID-186", "NORMAL-4", "NORMAL-77", "NORMAL-161", "NORMAL-314"]
    lettered += ["PNEUMONIA-52", "PNEUMONIA-86", "PNEUMONIA-149", "PNEUMONIA-180", "PNEUMONIA-222"]
    bare = ["COVID-10", "COVID-46", "COVID-220", "COVID-225", "COVID-279", "COVID-335", "COVID-343"]

    def has(name: str) -> bool:
        return bool(find_letters(decode((folder / name.split("-")[0] / f"{name}.png").read_bytes())).any())

    assert [name for name in lettered if not has(name)] == []
    assert [name for name in bare if has(name)] == []

"""Compiled loops against NumPy's filters; what a letter is, `test_letters` says, of both."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from cxrfeat.image import figure
from cxrfeat.image.decode import decode
from cxrfeat.image.letters import find_letters
from cxrfeat.system import compiled
from cxrfeat.system.compiled import Compiled
from cxrfeat.types import Grey
from tests.effort import expensive
from tests.image.test_letters import field


def both(image: Grey) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What is found by NumPy and by compiled loops."""
    found: list[NDArray[np.bool_]] = []
    for kernel in (Compiled("cxrfeat.image.letter_kernel"), Compiled("cxrfeat.image.letter_kernel")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiled, "_wanted", threading.Event())
            patch.setattr(compiled, "LEAST_STEPS", math.inf)
            patch.setattr(figure, "KERNEL", kernel)
            if found:
                kernel.load()
            found.append(find_letters(image))
    return found[0], found[1]


@expensive(15, 60)
@given(
    height=st.integers(2, 330),
    width=st.integers(2, 330),
    factor=st.sampled_from([1, 1, 2]),
    marks=st.integers(0, 40),
    seed=st.integers(0, 999),
)
def test_compiled_loops_find_the_very_same(height: int, width: int, factor: int, marks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = field(height, width)
    for _ in range(marks):
        top, left = rng.integers(-10, height), rng.integers(-10, width)
        tall, wide = rng.integers(1, 30, 2)
        image[max(0, top) : top + tall, max(0, left) : left + wide] = rng.integers(0, 256)
    image = (image + rng.normal(0, rng.choice([0, 2, 30]), image.shape)).clip(0, 255).astype(np.uint8)
    image = image.repeat(3 * factor, axis=0).repeat(3 * factor, axis=1) if factor > 1 else image
    one, other = both(image)
    np.testing.assert_array_equal(one, other)


def test_compiled_loops_find_more_figures_than_there_is_room_for_at_first() -> None:
    image = np.full((600, 600), 20, np.uint8)
    for top in range(6, 580, 22):
        for left in range(6, 580, 22):
            image[top : top + 11, left : left + 7] = 250
    one, other = both(image)
    assert ndimage.label(one)[1] > 200
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_compiled_loops_find_the_very_same_in_real_images(shared: Path) -> None:
    paths = [path for name in ("cxr299", "cxr-raw") for path in sorted((shared / "data" / name).rglob("*.png"))[::9]]
    found = [both(decode(path.read_bytes())) for path in paths]
    assert sum(one.any() for one, _ in found) > 50
    for path, (one, other) in zip(paths, found, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=path.name)

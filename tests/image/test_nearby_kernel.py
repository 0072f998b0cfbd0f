"""Compiled loops of the look-up in tables against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.image import nearby
from cxrfeat.image.alignment import Planes
from cxrfeat.image.nearby import encoded
from tests.image.test_nearby import filled


@pytest.fixture(scope="module")
def planes() -> Planes:
    made = np.random.default_rng(4).normal(size=(300, 10, 10)).astype(np.float32)
    unit: Planes = made / np.linalg.norm(made, axis=(1, 2), keepdims=True)
    return unit


@pytest.mark.parametrize(("room", "crowd", "most"), [(1 << 15, 256, 1024), (40, 2, 1)])
def test_both_ways_find_the_same(
    planes: Planes, monkeypatch: pytest.MonkeyPatch, room: int, crowd: int, most: int
) -> None:
    """Also where more is found than there is room for."""
    monkeypatch.setattr(nearby, "_ROOM", room)
    monkeypatch.setattr(nearby, "_CROWD", crowd)
    monkeypatch.setattr(nearby, "_MOST", most)
    monkeypatch.setattr(nearby, "_TABLES", 12)
    codes = encoded(np.concatenate([planes, planes[:40], planes[:40]]))
    fast, slow = (filled(codes, compiled=compiled).pairs(300, 380, 0.3) for compiled in (True, False))
    assert len(fast[0])
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(one, other)

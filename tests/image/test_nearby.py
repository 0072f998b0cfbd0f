"""What is looked up in tables: a part of what each against each finds, and the same by compiled loops and by NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.image import nearby
from cxrfeat.image.alignment import Planes
from cxrfeat.image.frequency import turn_cosines
from cxrfeat.image.nearby import Nearby, decoded, encoded, look_up_slowly, weigh_slowly
from cxrfeat.system.compiled import Compiled


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "_TABLES", 12)


@pytest.fixture(scope="module")
def planes() -> Planes:
    """300 by chance, of each of which another is made: turned, inverted, and changed a little."""
    draw = np.random.default_rng(4)
    made = draw.normal(size=(300, 10, 10)).astype(np.float32)
    others = np.stack([turn_cosines(made[[one]], one % 8)[0] * (1 - 2 * (one % 3 == 0)) for one in range(300)])
    both = np.concatenate([made, others + draw.normal(0, 0.4, made.shape).astype(np.float32)])
    unit: Planes = both / np.linalg.norm(both, axis=(1, 2), keepdims=True)
    return unit


def filled(codes: NDArray[np.int8], *, compiled: bool, at_once: int = 600) -> Nearby:
    tables = Nearby()
    if not compiled:
        tables._look_up, tables._weigh = look_up_slowly, weigh_slowly
    for start in range(0, len(codes), at_once):
        tables.add(codes[start : start + at_once])
    return tables


def test_codes_are_the_frequencies_rounded(planes: Planes) -> None:
    np.testing.assert_allclose(decoded(encoded(planes)), planes, atol=0.5 / 127 + 1e-6)
    swapped = decoded(nearby._swapped(encoded(planes)))
    np.testing.assert_array_equal(swapped, decoded(encoded(planes)).swapaxes(1, 2))


def test_what_is_found_is_alike_and_copies_are_found(planes: Planes) -> None:
    tables = filled(encoded(planes), compiled=True)
    pairs, product = tables.pairs(300, 600, 0.7)
    white = decoded(encoded(planes))
    turned = np.stack([turn_cosines(white[[one]], symmetry)[0] for one, _, symmetry in pairs.tolist()])
    np.testing.assert_allclose((turned * white[pairs[:, 1]]).sum(axis=(1, 2)), product, atol=1e-5)
    assert (np.abs(product) >= 0.7).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    expected = {(one, one + 300, one % 8, -1 if one % 3 == 0 else 1) for one in range(300)}
    found = {(*pair, int(math.copysign(1, value))) for pair, value in zip(pairs.tolist(), product, strict=True)}
    assert found <= expected, "those by chance are not alike"
    assert len(found) >= 290


def test_it_is_the_same_however_many_were_added_at_a_time_and_asked_for(planes: Planes) -> None:
    codes = encoded(planes)
    whole, parts = filled(codes, compiled=True), filled(codes, compiled=True, at_once=77)
    assert len(whole) == len(parts) == 600
    expected = np.concatenate([whole.pairs(start, start + 100, 0.7)[0] for start in (300, 400, 500)])
    np.testing.assert_array_equal(parts.pairs(300, 600, 0.7)[0], expected)
    fewer = filled(codes[:410], compiled=True)
    np.testing.assert_array_equal(fewer.pairs(300, 400, 0.7)[0], whole.pairs(300, 400, 0.7)[0])


def test_of_a_pile_under_one_key_the_latest_are_looked_at(planes: Planes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "_CROWD", 3)
    tables = filled(encoded(np.repeat(planes[:1], 200, axis=0)), compiled=True)
    pairs, _ = tables.pairs(100, 200, 0.7)
    assert set((pairs[:, 1] - pairs[:, 0]).tolist()) == {1, 2, 3}


def test_without_compiled_loops_it_works(planes: Planes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "KERNEL", Compiled("cxrfeat.image.no_such_kernel"))
    tables = filled(encoded(planes[::3]), compiled=True)
    assert tables._look_up is look_up_slowly
    assert len(tables.pairs(100, 110, 0.7)[0]) >= 9

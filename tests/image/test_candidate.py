"""Which pictures are proposed as copies: by frequencies so weighted that chance pairs agree in none."""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextlib import nullcontext
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.image import alignment, candidate, frequency
from cxrfeat.image.alignment import Planes
from cxrfeat.image.candidate import ByFeatures, Pictures, until

STRIP = 16
"""Pictures that are compared at a time here, four times as many to a page."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate, "_ROWS", STRIP)
    monkeypatch.setattr(candidate, "_COLUMNS", 4 * STRIP)
    monkeypatch.setattr(candidate, "_AT_ONCE", 2 * STRIP)
    monkeypatch.setattr(candidate, "SAMPLE", 40)


@pytest.fixture(scope="module")
def portraits() -> NDArray[np.uint8]:
    """A hundred, of which the last ten are one under different symmetries, and the ten before nearly another."""
    draw = np.random.default_rng(5)
    coarse = draw.integers(0, 256, (100, 14, 14))
    fine = np.kron(coarse, np.ones((1, 3, 3)))
    cells = [fine[:, a : a + 40, b : b + 40] for a in range(3) for b in range(3)]
    soft: NDArray[np.uint8] = np.mean(cells, axis=0).astype(np.uint8)
    for number in range(10):
        soft[80 + number] = np.clip(soft[3] + draw.normal(0, 2, (40, 40)), 0, 255)
        soft[90 + number] = alignment.turn(soft[7:8], number % 8)[0]
    return soft


def told(portraits: NDArray[np.uint8]) -> Pictures:
    pictures = Pictures()
    for portrait in portraits:
        pictures.add(portrait)
    return pictures


def unwrapped(white: Planes, one: int, other: int) -> dict[tuple[int, int], float]:
    """What each symmetry says of a pair, by turning the planes themselves."""
    products = [float((frequency.turn_cosines(white[[one]], each) * white[other]).sum()) for each in range(8)]
    return {(each, 1 if value > 0 else -1): abs(value) for each, value in enumerate(products)}


def test_what_is_proposed_are_the_pairs_whose_turned_frequencies_agree(portraits: NDArray[np.uint8]) -> None:
    pictures = told(portraits)
    strips = pictures.prepare(Event(), last=True)
    assert strips == [(start, min(start + STRIP, 100)) for start in range(0, 100, STRIP)]
    white = pictures.cosines(np.arange(100))
    np.testing.assert_allclose(np.linalg.norm(white, axis=(1, 2)), 1, atol=1e-5)
    found = {tuple(row) for strip in strips for row in pictures.propose(strip).tolist()}
    pairs = [(one, other) for other in range(100) for one in range(other)]
    agree = {
        (one, other, *key): value
        for one, other in pairs
        for key, value in unwrapped(white, one, other).items()
        if abs(value - candidate._PROPOSE) > 1e-4  # as near as that, rounding decides
    }
    assert found & agree.keys() == {key for key, value in agree.items() if value >= candidate._PROPOSE}
    assert {(3, 80 + number) for number in range(10)} <= {(one, other) for one, other, *_ in found}
    assert {(7, 90 + number) for number in range(10)} <= {(one, other) for one, other, *_ in found}


def test_each_picture_proposes_the_strongest_of_those_before_it(
    portraits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = told(portraits)
    strips = pictures.prepare(Event(), last=True)
    white = pictures.cosines(np.arange(100))
    monkeypatch.setattr(candidate, "_MOST", 3)
    last = pictures.propose(strips[-1])
    assert np.unique(last[:, 1], return_counts=True)[1].max() == 3
    everyone = {
        (one, *key): value for one in range(97) for key, value in unwrapped(white, one, 97).items() if value >= 0.7
    }
    assert len(everyone) > 3
    kept = [everyone[one, symmetry, sign] for one, other, symmetry, sign in last.tolist() if other == 97]
    np.testing.assert_allclose(sorted(kept), sorted(everyone.values())[-3:], atol=1e-5)


def test_what_is_proposed_does_not_depend_on_what_comes_after(portraits: NDArray[np.uint8]) -> None:
    whole, few = told(portraits), told(portraits[:70])
    strips = few.prepare(Event(), last=False)
    assert strips == [(0, 16), (16, 32), (32, 48), (48, 64)]
    assert few.waiting == 6
    assert whole.prepare(Event(), last=True)[:4] == strips
    for strip in strips:
        np.testing.assert_array_equal(few.propose(strip), whole.propose(strip))


def test_nothing_is_ready_before_the_sample_is_there(portraits: NDArray[np.uint8]) -> None:
    assert told(portraits[:47]).prepare(Event(), last=False) == []
    assert len(told(portraits[:48]).prepare(Event(), last=False)) == 3
    assert told(portraits[:47]).prepare(Event(), last=True)[-1] == (32, 47)


def test_pictures_are_kept_as_they_were_told(portraits: NDArray[np.uint8]) -> None:
    given = portraits.copy()
    pictures = told(given)
    given[:] = 0
    assert len(pictures) == 100
    np.testing.assert_array_equal(pictures.portraits([99, 0, 64]), portraits[[99, 0, 64]])


@pytest.mark.parametrize(("most", "dim"), [(1000, 30), (64, 30), (64, 400)])
def test_features_propose_pairs_under_the_symmetry_that_frequencies_speak_for(
    portraits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, most: int, dim: int
) -> None:
    """However many pictures there are."""
    monkeypatch.setattr(candidate, "EXACT", most)
    pictures = told(portraits)
    pictures.prepare(Event(), last=True)
    features = np.random.default_rng(0).normal(size=(100, dim)).astype(np.float32)
    features[95] = features[7] + 0.01
    features[96] = -features[8]
    stop = Event()
    by_features = ByFeatures(features, pictures, stop)
    found = [row for strip in by_features.strips() for row in by_features.propose(strip).tolist()]
    assert found == [[7, 95, 5, 1]]
    stop.set()
    with pytest.raises(CancelledError) if most < 100 else nullcontext():
        ByFeatures(features, pictures, stop)


def test_being_stopped_ends_it(portraits: NDArray[np.uint8]) -> None:
    stop = Event()
    things = until(stop, [1, 2])
    assert next(things) == 1
    stop.set()
    with pytest.raises(CancelledError):
        next(things)
    with pytest.raises(CancelledError):
        told(portraits).prepare(stop, last=True)


def test_no_matrix_holds_subnormal_numbers() -> None:
    """They made the search for copies three times slower: far from its middle a Gaussian is tiny, but not zero."""
    for matrix in (*alignment._FINE, *alignment.COARSE, alignment._AROUND, frequency.COSINE):
        assert not ((matrix != 0) & (np.abs(matrix) < 1e-18)).any()  # nor do products of two


def test_beyond_the_first_each_proposes_those_of_them_that_can_be_made_to_agree(
    portraits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = told(portraits)
    strips = exact.prepare(Event(), last=True)
    expected = {tuple(row) for strip in strips for row in exact.propose(strip).tolist()}
    monkeypatch.setattr(candidate, "EXACT", 64)
    monkeypatch.setattr(candidate, "_MOST_NEARBY", 1000)
    some = told(portraits[:85])
    assert some.prepare(Event(), last=False) == strips[:5]
    assert [some.propose(strip).tolist() for strip in strips[:4]] == [exact.propose(one).tolist() for one in strips[:4]]
    found = {tuple(row) for strip in strips[:5] for row in some.propose(strip).tolist()}
    for portrait in portraits[85:]:
        some.add(portrait)
    assert some.prepare(Event(), last=True) == strips[5:]
    found |= {tuple(row) for strip in strips[5:] for row in some.propose(strip).tolist()}
    copies = {(3, 80 + number) for number in range(10)} | {(7, 90 + number) for number in range(10)}
    assert copies <= {(one, other) for one, other, *_ in found}
    assert found <= expected
    places = np.array([99, 3, 50])
    np.testing.assert_allclose(some.cosines(places), exact.cosines(places), atol=0.005)


def test_beyond_the_first_each_proposes_a_few(portraits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate, "EXACT", 64)
    monkeypatch.setattr(candidate, "_MOST_NEARBY", 3)
    pictures = told(portraits)
    strips = pictures.prepare(Event(), last=True)
    assert np.unique(pictures.propose(strips[-1])[:, 1], return_counts=True)[1].tolist() == [3] * 4


def test_pictures_beyond_the_first_wait_for_more_of_them(
    portraits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "EXACT", 64)
    monkeypatch.setattr(candidate, "_BLOCK", 16)
    monkeypatch.setattr(candidate, "_BLOCK_NEARBY", 24)
    pictures, compared = Pictures(), []
    for number, portrait in enumerate(portraits, start=1):
        pictures.add(portrait)
        if pictures.enough:
            compared.append(number)
            pictures.prepare(Event(), last=False)
    assert compared[-3:] == [48, 64, 88]

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.near import Neighbourhood
from cxrfeat.image.alignment import SYMMETRIES, turn
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty images of two classes; image 1 has the pixels of image 0."""
    return make_features(tmp_path_factory.mktemp("near") / "f.h5", pictures=True)


def test_neighbours_are_those_of_the_standardised_features(made: Path) -> None:
    with FeatureFile(made) as file:
        near = Neighbourhood(file)
        X = file.arrays()[0].astype(np.float64)
        Z = (X - X.mean(0)) / X.std(0)
        Z /= np.linalg.norm(Z, axis=1, keepdims=True)
        found = near.nearest(near.image(7), 5, but=7)
        expected = Z @ Z[7]
        expected[7] = -2
        assert [one.row for one in found] == np.argsort(-expected)[:5].tolist()
        np.testing.assert_allclose([one.similarity for one in found], np.sort(expected)[::-1][:5], atol=1e-5)
        assert all(one.copy is None for one in found)


def test_a_copy_comes_first_however_far_its_features_are(made: Path) -> None:
    with FeatureFile(made) as file:
        near = Neighbourhood(file)
        first = near.nearest(near.image(0), 3, but=0)[0]
        assert (first.row, first.copy) == (1, "same pixels")
        assert near.nearest(near.image(9), 1)[0].copy == "same bytes", "itself, where it is not left out"


@pytest.mark.few(2)
@pytest.mark.parametrize("symmetry", [0, 1, 6])
@pytest.mark.parametrize("sign", [1, -1])
def test_changed_copies_are_known_by_how_they_look(symmetry: int, sign: int, made: Path) -> None:
    with FeatureFile(made) as file:
        near = Neighbourhood(file)
        own = near.image(30)
        portrait = turn(own.portrait[None], symmetry)[0]
        small = own.portrait.reshape(8, 5, 8, 5).mean((1, 3)).astype(np.uint8)
        near._file.content.columns["thumbnail"][30] = small
        thumbnail = turn(small[None], symmetry)[0]
        changed = replace(
            own,
            features=-own.features,  # as far as can be
            content_sha256="0" * 64,
            pixel_digest=2**60,
            portrait=portrait if sign > 0 else 255 - portrait,
            thumbnail=thumbnail if sign > 0 else 255 - thumbnail,
        )
        first = Neighbourhood(file).nearest(changed, 3)[0]
    assert first.row == 30
    assert first.copy is not None
    assert first.copy.startswith("near")
    assert ("inverted" in first.copy) == (sign < 0)
    assert any(name in first.copy for name in SYMMETRIES[1:]) == (symmetry > 0)


def test_all_images_are_neighbours_where_more_are_asked_for(made: Path) -> None:
    with FeatureFile(made) as file:
        near = Neighbourhood(file)
        assert len(near.nearest(near.image(5), 1000, but=5)) == 79
        assert len({one.row for one in near.nearest(near.image(5), 1000)}) == 80


def test_a_blank_image_is_a_copy_of_none(made: Path) -> None:
    with FeatureFile(made) as file:
        near = Neighbourhood(file)
        blank = replace(near.image(5), portrait=np.zeros((40, 40), np.uint8), pixel_digest=2**60)
        assert all(one.copy is None for one in near.nearest(blank, 5, but=5))


@pytest.mark.slow
def test_a_hundred_thousand_images_answer_in_a_second(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100_000, 1, 1024)).astype(np.float32)
    made = make_features(tmp_path / "f.h5", groups=50_000, per_group=1, views=1, dim=1024, features=rows, pictures=True)
    del rows
    with FeatureFile(made) as file:
        near = Neighbourhood(file)
        took = []
        for row in (0, 5, 99_999):
            began = time.perf_counter()
            assert len(near.nearest(near.image(row), 10, but=row)) == 10
            took.append(time.perf_counter() - began)
    assert min(took) < 1.0, took


def test_neighbours_are_looked_for_among_those_that_are_allowed(made: Path) -> None:
    with FeatureFile(made) as file:
        near = Neighbourhood(file)
        first = [one.row for one in near.nearest(near.image(5), 6, but=5)]
        allowed = np.ones(80, bool)
        allowed[first[::2]] = False
        assert [one.row for one in near.nearest(near.image(5), 3, but=5, among=allowed)] == first[1::2]
        assert near.nearest(near.image(5), 3, but=5, among=np.zeros(80, bool)) == []
        assert [one.copy for one in near.nearest(near.image(0), 1, but=0, among=np.arange(80) > 1)] == [None]

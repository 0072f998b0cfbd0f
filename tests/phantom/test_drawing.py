from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrfeat.phantom.anatomy import images_of
from cxrfeat.phantom.drawing import Phantom, draw_phantom
from cxrfeat.phantom.spec import PhantomSpec


def all_of(spec: PhantomSpec) -> list[tuple[int, int, Phantom]]:
    return [
        (c, p, draw_phantom(spec, c, p, n))
        for c in range(len(spec.classes))
        for p in range(spec.patients_per_class)
        for n in range(images_of(spec, c, p))
    ]


@pytest.fixture(scope="module")
def drawn() -> list[tuple[int, int, Phantom]]:
    return all_of(PhantomSpec(patients_per_class=36, size=96))


def test_an_image_that_cannot_be_is_an_index_error() -> None:
    for place in ((3, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)):
        with pytest.raises(IndexError, match="no image of class"):
            draw_phantom(PhantomSpec(), *place)


@settings(max_examples=10)
@given(st.permutations([(0, 0, 0), (1, 0, 1), (2, 3, 0), (0, 1, 2)]))
def test_an_image_depends_on_what_it_is_and_not_on_the_order(order: list[tuple[int, int, int]]) -> None:
    spec = PhantomSpec(size=64)
    digests = {place: hashlib.sha256(draw_phantom(spec, *place).image.tobytes()).hexdigest() for place in order}
    again = {place: hashlib.sha256(draw_phantom(spec, *place).image.tobytes()).hexdigest() for place in sorted(order)}
    assert digests == again
    assert len(set(digests.values())) == len(order)


@pytest.mark.parametrize(
    "change",
    [
        {"patients_per_class": 2},
        {"duplicates": 1},
        {"broken": 3},
        {"classes": ("COVID", "NORMAL")},  # the image is its class by name
    ],
)
def test_the_rest_of_the_set_does_not_change_an_image(change: dict[str, Any]) -> None:
    spec = PhantomSpec(size=64)
    other = dataclasses.replace(spec, **change)
    np.testing.assert_array_equal(draw_phantom(spec, 0, 1, 0).image, draw_phantom(other, 0, 1, 0).image)


def test_letters_change_no_other_pixel() -> None:
    spec = PhantomSpec(size=128, letters="class")
    with_letter, without = draw_phantom(spec, 0, 0, 0), draw_phantom(dataclasses.replace(spec, letters="none"), 0, 0, 0)
    assert with_letter.letter is not None
    x0, y0, x1, y1 = with_letter.letter
    changed = np.argwhere(with_letter.image != without.image)
    assert len(changed) > 10
    assert (changed.min(axis=0) >= [y0, x0]).all()
    assert (changed.max(axis=0) < [y1, x1]).all()


def test_another_seed_is_another_set() -> None:
    a, b = (draw_phantom(PhantomSpec(size=64, seed=seed), 0, 0, 0) for seed in (0, 1))
    assert not np.array_equal(a.image, b.image)


def test_an_image_looks_like_a_chest_film(drawn: list[tuple[int, int, Phantom]]) -> None:
    for _, _, phantom in drawn[::7]:
        assert phantom.image.dtype == np.uint8
        assert phantom.lungs.shape == phantom.image.shape
        assert 0.10 < phantom.lungs.mean() < 0.45
        h, w = phantom.image.shape
        middle, abdomen = phantom.image[h // 3 : h // 2, w // 2 - 3 : w // 2 + 3], phantom.image[-h // 10 :, w // 2]
        lungs = np.median(phantom.image[phantom.lungs])
        assert lungs + 40 < np.median(middle)  # lungs dark, spine and heart bright
        assert lungs + 40 < np.median(abdomen)
        columns = phantom.lungs.sum(axis=0)
        assert columns[: w // 2].sum() > columns[w // 2 :].sum()  # the heart takes from the patient's left lung


def test_lesions_lie_in_the_lungs_and_normal_has_none(drawn: list[tuple[int, int, Phantom]]) -> None:
    for _, _, phantom in drawn:
        lesions = phantom.lesions
        assert (lesions == []) == (phantom.label == "NORMAL")
        y, x = np.mgrid[: phantom.image.shape[0], : phantom.image.shape[1]]
        for cx, cy, rx, ry in lesions:
            inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1
            assert inside.sum() >= 10
            assert phantom.lungs[inside].mean() > 0.98
        sides = {cx > phantom.image.shape[1] / 2 for cx, _, _, _ in lesions}
        if phantom.label == "COVID":
            assert len(lesions) >= 6
            assert len(sides) == 2
        if phantom.label == "PNEUMONIA":
            assert len(lesions) == 1


def test_opacities_are_brighter_than_the_lung_about_them(drawn: list[tuple[int, int, Phantom]]) -> None:
    gains = []
    for _, _, phantom in drawn:
        if phantom.label == "PNEUMONIA":
            ((cx, cy, rx, ry),) = phantom.lesions
            y, x = np.mgrid[: phantom.image.shape[0], : phantom.image.shape[1]]
            d = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
            gains.append(np.median(phantom.image[d < 0.3]) - np.median(phantom.image[(d > 1) & phantom.lungs]))
    assert np.mean(np.array(gains) > 0) > 0.9
    assert min(gains) < 25 < 60 < max(gains)  # some nearly hidden, some plain


# What may and what may not give the class away


def test_letters_tied_to_the_class_are_on_exactly_the_first() -> None:
    spec = PhantomSpec(size=64, patients_per_class=8, letters="class")
    assert {(phantom.label, phantom.letter is not None) for _, _, phantom in all_of(spec)} == {
        ("COVID", True),
        ("NORMAL", False),
        ("PNEUMONIA", False),
    }


def test_letters_at_random_are_on_half_of_every_class(drawn: list[tuple[int, int, Phantom]]) -> None:
    for label in PhantomSpec().classes:
        share = np.mean([phantom.letter is not None for _, _, phantom in drawn if phantom.label == label])
        assert 0.3 < share < 0.7  # three standard deviations of a coin thrown sixty times


def test_letters_can_be_absent() -> None:
    spec = PhantomSpec(size=64, patients_per_class=4, letters="none")
    assert all(phantom.letter is None for _, _, phantom in all_of(spec))


def test_the_letter_stands_in_an_upper_corner(drawn: list[tuple[int, int, Phantom]]) -> None:
    for _, _, phantom in drawn:
        if phantom.letter is not None:
            x0, y0, x1, y1 = phantom.letter
            h, w = phantom.image.shape
            assert 0 <= y0 < y1 < 0.25 * h
            assert 0 <= x0 < x1 < 0.25 * w or 0.75 * w < x0 < x1 <= w
            assert phantom.image[y0:y1, x0:x1].max() > 200


def test_every_class_has_every_source_equally() -> None:
    spec = PhantomSpec(size=64, patients_per_class=6)
    counts = Counter((c, draw_phantom(spec, c, p, 0).source) for c in range(3) for p in range(6))
    assert counts == {(c, source): 3 for c in range(3) for source in spec.sources}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("A", "B", "C"), ["A", "B", "C"]),
        (("A", "B"), ["A", "B", "B"]),  # as in the public sets: COVID from one place, the rest from another
        (("A",), ["A", "A", "A"]),
    ],
)
def test_source_by_class_ties_them(sources: tuple[str, ...], expected: list[str]) -> None:
    spec = PhantomSpec(size=64, sources=sources, source_by_class=True)
    for patient in range(3):
        assert [draw_phantom(spec, c, patient, 0).source for c in range(3)] == expected


def test_other_class_names_take_the_patterns_in_turn() -> None:
    spec = PhantomSpec(size=64, classes=("sick", "healthy", "lobe", "sick again", "normal"))
    assert [len(draw_phantom(spec, c, 0, 0).lesions) > 1 for c in range(5)] == [True, False, False, True, False]
    assert [len(draw_phantom(spec, c, 0, 0).lesions) == 0 for c in range(5)] == [False, True, False, False, True]


@pytest.mark.slow
def test_the_classes_can_be_learned_but_not_with_ease() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images = all_of(PhantomSpec(patients_per_class=90, size=96))
    y = np.array([c for c, _, _ in images])
    groups = np.array([c * 1000 + p for c, p, _ in images])
    X = np.array(
        [
            np.asarray(Image.fromarray(phantom.image).resize((16, 16), Image.Resampling.BOX), np.float64).ravel()
            for _, _, phantom in images
        ]
    )
    sources = np.array([[phantom.source == "Hospital A"] for _, _, phantom in images], np.float64)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)

    def score(features: Any) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        return float(balanced_accuracy_score(y, cross_val_predict(model, features, y, groups=groups, cv=folds)))

    assert 0.50 < score(X) < 0.90  # chance is 0.33; an ImageNet network reaches 0.90 at 256 px
    assert score(sources) < 0.42

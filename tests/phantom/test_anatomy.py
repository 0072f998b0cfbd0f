from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from cxrfeat.phantom.anatomy import images_of, in_lungs, person_of, survey
from cxrfeat.phantom.drawing import Phantom, draw_phantom
from cxrfeat.phantom.spec import PhantomSpec


def test_a_patient_has_one_anatomy() -> None:
    spec = PhantomSpec(size=96, letters="none")

    def centred(lungs: Any) -> Any:  # the patient stands a little elsewhere each time
        rows, columns = np.round(np.argwhere(lungs).mean(axis=0)).astype(int)
        return np.roll(lungs, (48 - rows, 48 - columns), (0, 1))

    def overlap(a: Phantom, b: Phantom) -> float:
        one, two = centred(a.lungs), centred(b.lungs)
        return float((one & two).sum() / (one | two).sum())

    first = [draw_phantom(spec, 1, patient, 0) for patient in range(0, 16, 2)]  # all of one source, so of one size
    second = [draw_phantom(spec, 1, patient, 1) for patient in range(0, 16, 2)]
    for a, b in zip(first, second, strict=True):
        assert (a.patient, a.source, len(a.lesions)) == (b.patient, b.source, len(b.lesions))
        assert not np.array_equal(a.image, b.image)
    same = np.mean([overlap(a, b) for a, b in zip(first, second, strict=True)])
    other = np.mean([overlap(a, b) for a, b in zip(first, second[1:], strict=False)])
    assert same > 0.92
    assert same > other + 0.08


def test_patients_have_one_to_three_images_and_unknown_ones_have_one() -> None:
    spec = PhantomSpec(size=64, patients_per_class=30)
    counts = Counter(images_of(spec, c, p) for c in range(3) for p in range(30))
    assert set(counts) == {1, 2, 3}
    unknown = [(c, p) for c in range(3) for p in range(30) if draw_phantom(spec, c, p, 0).patient is None]
    assert 3 <= len(unknown) <= 20
    assert {images_of(spec, c, p) for c, p in unknown} == {1}
    assert {images_of(dataclasses.replace(spec, images_per_patient=1), c, 0) for c in range(3)} == {1}


def test_a_patient_for_whom_the_first_places_of_a_lesion_do_not_fit_is_drawn_too() -> None:
    """With this seed not one of three proposed patches lay within the lungs."""
    spec = PhantomSpec(patients_per_class=40, size=64, seed=2)
    assert all(1 <= images_of(spec, 0, patient) <= 3 for patient in range(40))


def test_the_lungs_lie_on_either_side_of_the_spine_and_above_the_diaphragm() -> None:
    person = person_of(PhantomSpec(), 1, 0)
    x = np.linspace(-1, 1, 201)[None, :]
    y = np.linspace(-1, 1, 201)[:, None]
    lungs = in_lungs(survey(person.anatomy, x, y))
    rows, columns = np.nonzero(lungs)
    assert not lungs[:, 100].any()
    assert y[rows.min(), 0] >= -0.66
    assert y[rows.max(), 0] < max(side.dome + 4 * side.angle for side in person.anatomy.sides)
    assert -0.7 < x[0, columns.min()] < -0.5
    assert 0.5 < x[0, columns.max()] < 0.7

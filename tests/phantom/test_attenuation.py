from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cxrfeat.phantom.anatomy import in_lungs, person_of, survey
from cxrfeat.phantom.attenuation import attenuate
from cxrfeat.phantom.exposure import ACQUISITIONS, Pose, draw_pose
from cxrfeat.phantom.spec import PhantomSpec

PERSON = person_of(PhantomSpec(), 0, 0)  # of the class with opacities


def upright() -> Pose:
    drawn = draw_pose(PERSON.anatomy, ACQUISITIONS[0], 128, np.random.default_rng(0))
    return replace(drawn, rotation=0.0, dx=0.0, dy=0.0)


def test_the_spine_is_denser_than_the_lungs() -> None:
    pose = upright()
    at = survey(PERSON.anatomy, *pose.body_coordinates())
    attenuation = attenuate(PERSON.anatomy, at, pose, [])
    middle = slice(pose.height // 3, 2 * pose.height // 3), slice(pose.width // 2 - 2, pose.width // 2 + 2)
    assert attenuation.shape == (pose.height, pose.width)
    assert np.median(attenuation[middle]) > np.median(attenuation[in_lungs(at)]) + 0.3


def test_an_opacity_adds_within_its_ellipse_and_nowhere_else() -> None:
    pose = upright()
    at = survey(PERSON.anatomy, *pose.body_coordinates())
    clear = attenuate(PERSON.anatomy, at, pose, [])
    for lesion in PERSON.lesions:
        added = attenuate(PERSON.anatomy, at, pose, [lesion]) - clear
        inside = ((at.x - lesion.x) / lesion.rx) ** 2 + ((at.y - lesion.y) / lesion.ry) ** 2 < 1
        assert not added[~inside].any()
        assert added[inside].max() > 0.02
        stronger = attenuate(PERSON.anatomy, at, pose, [lesion.scaled(1.5)]) - clear
        assert stronger.sum() > added.sum() > 0


def test_the_texture_of_the_lungs_moves_with_the_patient() -> None:
    pose = upright()
    at = survey(PERSON.anatomy, *pose.body_coordinates())
    one, moved = (attenuate(PERSON.anatomy, at, one, []) for one in (pose, replace(pose, dx=5.0)))
    assert not np.array_equal(one, moved)
    assert math.isclose(one.mean(), moved.mean(), rel_tol=1e-2)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrfeat.phantom.anatomy import Lesion, person_of
from cxrfeat.phantom.exposure import ACQUISITIONS, Acquisition, draw_pose, expose
from cxrfeat.phantom.spec import MOST_SOURCES, PhantomSpec

ANATOMY = person_of(PhantomSpec(), 1, 0).anatomy


def test_there_is_a_device_for_every_source_that_a_set_can_have() -> None:
    assert len(ACQUISITIONS) == MOST_SOURCES


@pytest.mark.parametrize("device", ACQUISITIONS)
def test_what_is_denser_is_brighter(device: Acquisition) -> None:
    pose = replace(draw_pose(ANATOMY, device, 96, np.random.default_rng(0)), collimation=None)
    ramp = np.broadcast_to(np.linspace(0, 1.2, pose.width, dtype=np.float32), (pose.height, pose.width))
    grey = expose(ramp, device, pose, np.random.default_rng(1))
    thirds = [grey[:, part].mean() for part in np.array_split(np.arange(pose.width), 3)]
    assert thirds[0] < thirds[1] < thirds[2]
    assert 0 <= grey.min() < grey.max() < 260


def test_collimated_sides_are_black_and_the_middle_is_untouched() -> None:
    device = ACQUISITIONS[1]
    pose = draw_pose(ANATOMY, device, 200, np.random.default_rng(0))
    plane = np.full((pose.height, pose.width), 0.6, np.float32)
    sides = (0.05, 0.1, 0.0, 0.0)
    whole, cut = (
        expose(plane, device, replace(pose, collimation=one), np.random.default_rng(2)) for one in (None, sides)
    )
    assert (cut[:15] <= 3).all()
    assert (cut[:, :5] <= 3).all()
    np.testing.assert_allclose(cut[30:-10, 30:-10], whole[30:-10, 30:-10], rtol=1e-6)


def test_an_outline_in_pixels_lies_where_the_body_coordinates_do() -> None:
    pose = draw_pose(ANATOMY, ACQUISITIONS[0], 256, np.random.default_rng(3))
    x, y = pose.body_coordinates()
    lesion = Lesion(x=0.3, y=-0.1, rx=0.1, ry=0.2, strength=1.0, edge=0.5)
    cx, cy, rx, ry = pose.ellipse(lesion)
    row, column = round(cy), round(cx)
    assert abs(x[row, column] - 0.3) < 1 / pose.unit
    assert abs(y[row, column] + 0.1) < 1 / pose.unit
    assert (rx, ry) == pytest.approx((0.1 * pose.unit, 0.2 * pose.unit), abs=0.01)

from __future__ import annotations

import pytest

from cxrfeat.image.mask_place import MaskPlace
from cxrfeat.image.mask_unit import anatomy, units_of


@pytest.mark.parametrize(
    ("left", "right", "name"),
    [
        ("ManualMask/leftMask/1_0.png", "ManualMask/rightMask/1_0.png", "ManualMask/1_0.png"),
        ("leftmask/1.png", "rightmask/1.png", "1.png"),
        ("masks/left/1.png", "masks/right/1.png", "masks/1.png"),
        ("mask/left_lung/1.png", "mask/right_lung/1.png", "mask/1.png"),
        ("P 1/left lung.png", "P 1/right lung.png", "P 1.png"),
        ("1/Left Lung.jpg", "1/Right Lung.jpg", "1.jpg"),
        ("1_left_lung.png", "1_right_lung.png", "1.png"),
        ("a/1.2-left.png", "a/1.2-right.png", "a/1.2.png"),
    ],
)
def test_two_that_differ_in_the_side_alone_are_one_mask(left: str, right: str, name: str) -> None:
    found = units_of([left, right], [])
    assert [(one.name, one.place) for one in found.masks] == [(name, MaskPlace(form="halves", paths=(left, right)))]
    assert units_of([right], []).single == [right]
    assert units_of([right, left], []).masks == found.masks, "in any order"


@pytest.mark.parametrize("name", ["1.png", "left lung base.png", "a/1_upper_left.x.png", "left.png", "leftover/1.png"])
def test_what_names_no_lung_is_one_mask(name: str) -> None:
    (mask,) = units_of([name], []).masks
    assert (mask.name, mask.place) == (name, name)


def test_a_mask_with_the_name_of_an_image_is_no_half() -> None:
    assert [one.name for one in units_of(["masks/p_left.png", "masks/p_right.png"], ["p_left", "p_right"]).masks] == [
        "masks/p_left.png",
        "masks/p_right.png",
    ]


def test_structures_are_known_by_the_two_lungs_among_them() -> None:
    structures = {"out/7/left lung.png", "out/7/right lung.png", "out/7/heart.png"}
    assert (
        anatomy([*structures, "out/7/original.dcm", "out/8/left lung.png", "left lung.png", "right lung.png"])
        == structures
    )

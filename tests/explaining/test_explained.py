from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrfeat.explaining.explained import Explained, caption, groups_of, rounded


def test_a_caption_says_what_was_predicted_what_is_explained_and_whether_it_is_right(explained: Explained) -> None:
    one = replace(
        explained.images[0],
        label="COVID",
        explained="COVID",
        true="COVID",
        probabilities={"COVID": 0.7, "NORMAL": 0.3},
    )
    assert caption(one) == "predicted COVID 0.70 - right, it is COVID"
    assert caption(replace(one, true="NORMAL")) == "predicted COVID 0.70 - wrong, it is NORMAL"
    other = replace(one, true=None, explained="NORMAL")
    assert caption(other) == "predicted COVID 0.70, NORMAL 0.30"
    assert (one.right, replace(one, true="NORMAL").right, other.right) == (True, False, None)


def test_an_image_in_which_nothing_speaks_for_the_class_has_no_peak_and_no_share(explained: Explained) -> None:
    empty = replace(explained.images[0], heat=np.zeros((4, 4), np.float32))
    assert empty.peak is None
    told = empty.to_dict()
    assert (told["peak"], told["in_lungs"], told["in_border"]) == (None, None, None)
    assert 0 < told["lungs_area"] < 1


def test_images_of_one_patient_are_one_group_and_those_of_nobody_are_each_their_own(explained: Explained) -> None:
    one = explained.images[0]
    named = [("a", "p"), ("b", ""), ("c", "p"), ("d", "")]
    found = groups_of([replace(one, image=image, group=group) for image, group in named])
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 3


@pytest.mark.parametrize(("value", "told"), [(float("nan"), None), (0.123456, 0.1235), (0.0, 0.0)])
def test_a_share_is_rounded_and_none_is_null(value: float, told: float | None) -> None:
    assert rounded(value) == told


def test_failed_checks_are_those_that_failed(explained: Explained) -> None:
    assert [one.check for one in explained.failed] == [
        one["check"] for one in explained.to_dict()["checks"] if one["status"] == "fail"
    ]

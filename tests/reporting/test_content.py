from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.reporting.content import HeatPicture
from tests.reporting.contents import content, heat, with_heat


@pytest.mark.parametrize(
    ("judged", "tested", "chosen", "said"),
    [
        (1, 1, "", "the one test image"),
        (9, 9, "drawn by chance", "all 9 test images"),
        (4, 9, "drawn by chance", "4 of 9 test images, drawn by chance"),
        (4, 9, "", "4 of 9 test images"),
    ],
)
def test_heat_says_on_how_many_images_it_was_judged(judged: int, tested: int, chosen: str, said: str) -> None:
    assert replace(heat(), judged=judged, tested=tested, chosen=chosen).behind == said


def test_an_image_is_right_where_it_was_taken_for_what_it_is() -> None:
    picture = HeatPicture(label="A", predicted="B", probability=0.5, image="", overlay="", caption="")
    assert not picture.right
    assert replace(picture, predicted="A").right


def test_a_page_is_pictured_by_small_pictures_heat_or_means(tmp_path: Path) -> None:
    made = content(tmp_path, heads=["ridge"])
    (data,) = made.data
    assert made.pictured
    bare = replace(made, data=(replace(data, tiles=None),))
    assert not bare.pictured
    assert with_heat(bare, heat()).pictured
    assert with_heat(bare, replace(heat(), pictures=())).pictured, "means are pictures of patients too"
    assert not with_heat(bare, replace(heat(), pictures=(), means=())).pictured

from __future__ import annotations

import re

import pytest

from cxrfeat.image.classes import LONGEST, MANY, ROOM, doubt, shortened


def texts(count: int, images: int = 1, length: int = 12) -> dict[str, int]:
    return {f"{number:05}{'x' * (length - 5)}": images for number in range(count)}


@pytest.mark.parametrize(
    "counts",
    [
        {"COVID": 1, "NORMAL": 1},
        texts(MANY),  # a trial of a few images
        texts(836, images=2),  # the combinations of findings of a large set
        {**texts(10), **{f"class {number}": 50 for number in range(11)}},  # a long tail is no free text
        {"é" * LONGEST: 5, "NORMAL": 5},
        {"Pneumonie à COVID": 3, "肺炎": 3, "لا شيء": 3},
        {},
    ],
)
def test_names_of_classes_are_not_doubted(counts: dict[str, int]) -> None:
    assert doubt(counts) is None


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        (texts(200), "There are 200 classes of one image each, such as '00000xxxxxxx': is this free text?"),
        ({**texts(30), "NORMAL": 900}, "There are 31 classes of which 30 have one image, such as '00000xxxxxxx': is"),
        ({**texts(30), **{f"c{number}": 9 for number in range(29)}}, "There are 59 classes of which 30 have one image"),
        ({"NORMAL": 9, "no " * 100: 9}, "has a name of 300 characters, and 200 are the most: is this free text?"),
        (texts(600, images=9, length=120), "The names of 600 classes, such as .* bytes, and a feature file has room"),
        ({"COVID\nsuspected": 9, "NORMAL": 9}, r"class 'COVID\\nsuspected' has a line break or another control char"),
        ({"COVID\u2028": 9, "NORMAL": 9}, "has a line break"),
        ({"a\x1b[31m": 9, "NORMAL": 9}, "control character"),
    ],
)
def test_what_is_hardly_a_class_is_named_with_its_numbers(counts: dict[str, int], why: str) -> None:
    said = doubt(counts)
    assert said is not None
    assert re.search(why, said), said
    assert "\n" not in said
    assert "\x1b" not in said


def test_the_room_is_that_of_an_attribute_in_bytes_and_not_in_characters() -> None:
    names = [f"{number:04}{'肺' * 100}" for number in range(120)]
    assert sum(map(len, names)) < ROOM / 4
    assert "and a feature file has room for 60,000" in (doubt(dict.fromkeys(names, 9)) or "")


def test_a_long_name_is_shortened() -> None:
    assert shortened("a" * 70) == repr("a" * 57 + "...")
    assert shortened("a'b") == '"a\'b"'

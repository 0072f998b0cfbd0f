from __future__ import annotations

import itertools

import numpy as np
import pytest

from cxrfeat.auditing.copies import COLUMNS, Copy, check_copies, told_copies
from cxrfeat.image.duplicate import Pair
from cxrfeat.image.row import Header, ImageRow
from cxrfeat.types import Part, Status
from tests.auditing.verdict import verdict

NEAR, BYTES = Pair(one=0, other=1, kind="near", similarity=0.95), Pair(one=2, other=3, kind="bytes", similarity=1.0)


def row(
    name: str, label: str = "COVID", *, patient: str | None = None, part: Part | None = None, side: int = 100
) -> ImageRow:
    header = Header(format="PNG", suffix=".png", width=side, height=side, bits=8, mode="L", file_bytes=10)
    return ImageRow(path=name, label=label, content_sha256=name, header=header, patient=patient, split=part)


def rows(*labels: str) -> list[ImageRow]:
    return [row(f"{letter}.png", label) for letter, label in zip("abcd", labels, strict=True)]


def copies_of(pairs: list[Pair], images: list[ImageRow]) -> tuple[Copy, ...]:
    return told_copies(pairs, images)


def test_no_copies_pass_copies_warn_and_two_labels_fail() -> None:
    (none,) = check_copies([], split=False)
    assert verdict(none, "copies") is Status.PASS
    (some,) = check_copies(copies_of([NEAR, BYTES], rows("A", "A", "B", "B")), split=False)
    assert verdict(some, "copies") is Status.WARN
    assert "2 pairs of copies were found (1 exact, 1 changed)" in some.why
    (torn,) = check_copies(copies_of([NEAR, BYTES], rows("A", "A", "A", "B")), split=False)
    assert verdict(torn, "copies") is Status.FAIL
    assert (torn.value, torn.images) == (1, ("c.png", "d.png"))


def test_a_split_of_ones_own_may_not_part_copies_and_an_image_without_a_part_is_on_no_side() -> None:
    parts = [Part.TRAIN, None, Part.TRAIN, Part.TEST]
    images = [row(f"{letter}.png", part=part) for letter, part in zip("abcd", parts, strict=True)]
    _, across = check_copies(copies_of([NEAR, BYTES], images), split=True)
    assert verdict(across, "copies across the split") is Status.FAIL
    assert across.images == ("c.png", "d.png")
    _, whole = check_copies(copies_of([NEAR], images), split=True)
    assert verdict(whole, "copies across the split") is Status.PASS


def test_copies_of_one_named_patient_are_told_and_marked() -> None:
    images = [row(f"{letter}.png", patient=name) for letter, name in zip("abcd", ["p", "p", "q", None], strict=True)]
    told = copies_of([NEAR, BYTES], images)
    assert [one.to_dict()["same_patient"] for one in told] == ["yes", "unknown"]
    (found,) = check_copies(told, split=False)
    assert found.value == 2
    assert "1 of one patient" in found.why
    images[1] = row("b.png", "NORMAL", patient="p")
    assert check_copies(copies_of([NEAR], images), split=False)[0].status is Status.FAIL


def test_the_worst_come_first() -> None:
    images = [row(name, label, part=part) for name, label, part in (
        ("a.png", "A", Part.TEST), ("b.png", "A", Part.TEST), ("c.png", "A", Part.TRAIN), ("d.png", "A", Part.TEST),
        ("e.png", "A", None), ("f.png", "B", None))]  # fmt: skip
    pairs = [Pair(one=one, other=one + 1, kind="near", similarity=0.9) for one in (0, 2, 4)]
    assert [one.one.path for one in told_copies(pairs, images)] == ["e.png", "c.png", "a.png"]


def test_a_row_says_what_is_known_of_both() -> None:
    images = [row("a.png", part=Part.TRAIN, side=200), row("b.png", part=Part.TEST)]
    (told,) = copies_of([NEAR], images)
    assert tuple(told.to_dict()) == COLUMNS
    assert told.to_dict() == {
        "image": "a.png", "copy": "b.png", "kind": "near", "distance": 0.05, "change": "", "same_patient": "unknown",
        "part_image": "train", "part_copy": "test", "across_parts": "yes", "label_image": "COVID",
        "label_copy": "COVID", "leave_out": "a.png",
    }  # fmt: skip
    assert copies_of([NEAR], [row("a.png", side=200), row("b.png")])[0].leave_out == "b.png", "the smaller one"
    named = row("b.png", patient="p")
    assert copies_of([NEAR], [row("a.png", side=200), named])[0].leave_out == "a.png", "nobody knows whose it is"


@pytest.mark.parametrize("seed", range(5))
def test_leaving_out_what_is_named_leaves_one_of_every_set_and_nothing_of_a_torn_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [row(f"{index}.png", side=int(rng.integers(50, 60))) for index in range(30)]
    images[25:] = [row(f"{index}.png", "NORMAL") for index in range(25, 30)]
    number = np.where(np.arange(30) < 20, np.arange(30) % 4, np.arange(30))  # four sets of five, and images alone
    number[[22, 27]] = 99  # of two labels
    wanted = [
        (a, b)
        for a, b in itertools.combinations(range(30), 2)
        if number[a] == number[b] and (rng.random() < 0.5 or a < 4 or number[a] == 99)
    ]
    told = told_copies([Pair(one=a, other=b, kind="near", similarity=0.9) for a, b in wanted], images)
    gone = {one.leave_out for one in told} - {""}
    left = [index for index in range(30) if images[index].path not in gone]
    assert len(gone) == 16
    assert sorted(number[left].tolist()) == [0, 1, 2, 3, *sorted(number[20:].tolist())]
    assert all(one.leave_out for one in told if not one.torn)

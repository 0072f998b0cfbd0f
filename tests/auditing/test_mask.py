from __future__ import annotations

from pathlib import Path

from cxrfeat.auditing.mask import check_masks
from cxrfeat.image.mask import MaskFile
from cxrfeat.types import Status
from tests.auditing.verdict import verdict

GOOD = {str(number): MaskFile(Path("m.png"), "0" * 64, f"{number}.png") for number in range(6)}


def test_a_set_without_masks_is_not_asked_for_any() -> None:
    assert check_masks({}, ["0", "1"]) == []


def test_good_masks_pass() -> None:
    (found,) = check_masks(GOOD, list(GOOD))
    assert verdict(found, "masks") is Status.PASS
    assert found.why == "All 6 lung masks mark something plausible as lungs."


def test_bad_missing_and_turned_ones_are_counted_and_the_bad_ones_named() -> None:
    masks = {
        **GOOD,
        "1": MaskFile(Path("m.png"), "0" * 64, "1.png", problem=("decode", "blank")),
        "3": MaskFile(Path("m.png"), None, "3.png", problem=("open", "the file is not there")),
        "4": MaskFile(Path("m.png"), "0" * 64, "4.png", inverted=True),
    }
    (found,) = check_masks(masks, [*masks, "6", "6"])
    assert verdict(found, "masks") is Status.WARN
    assert found.value == 4
    assert found.images == ("1.png", "3.png")
    assert found.why == (
        "2 of 6 lung masks cannot be used (1 x blank; 1 x the file is not there); 2 of 8 images have none; a template "
        "stands in; 1 of 6 are bright outside the lungs, and are used inverted."
    )

from __future__ import annotations

import numpy as np

from cxrfeat.audit.copies import check_copies, told_pairs
from cxrfeat.image.duplicate import Pair
from cxrfeat.types import Labels, Part, Status
from tests.audit.verdict import verdict

IMAGES = ("a.png", "b.png", "c.png", "d.png")
NEAR, BYTES = Pair(one=0, other=1, kind="near", similarity=0.95), Pair(one=2, other=3, kind="bytes", similarity=1.0)


def labels(*values: int) -> Labels:
    return np.array(values)


def test_no_copies_pass_copies_warn_and_two_labels_fail() -> None:
    (none,) = check_copies([], labels(0, 1, 0, 1), [None] * 4, IMAGES)
    assert verdict(none, "copies") is Status.PASS
    (some,) = check_copies([NEAR, BYTES], labels(0, 0, 1, 1), [None] * 4, IMAGES)
    assert verdict(some, "copies") is Status.WARN
    assert "2 pairs of images are copies (1 exactly, 1 changed)" in some.why
    (torn,) = check_copies([NEAR, BYTES], labels(0, 0, 0, 1), [None] * 4, IMAGES)
    assert verdict(torn, "copies") is Status.FAIL
    assert (torn.value, torn.images) == (1, ("c.png", "d.png"))


def test_a_split_of_ones_own_may_not_part_copies() -> None:
    parts = [Part.TRAIN, Part.TRAIN, Part.TRAIN, Part.TEST]
    _, across = check_copies([NEAR, BYTES], labels(0, 0, 1, 1), parts, IMAGES)
    assert verdict(across, "copies across the split") is Status.FAIL
    assert across.images == ("c.png", "d.png")
    _, whole = check_copies([NEAR], labels(0, 0, 1, 1), parts, IMAGES)
    assert verdict(whole, "copies across the split") is Status.PASS


def test_pictures_of_one_named_patient_that_look_alike_are_no_copies() -> None:
    assert told_pairs([NEAR, BYTES], ["p", "p", "q", "q"]) == (BYTES,)
    assert told_pairs([NEAR, BYTES], ["p", "q", None, None]) == (NEAR, BYTES)
    assert told_pairs([NEAR], [None, None, None, None]) == (NEAR,)

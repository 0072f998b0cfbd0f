"""What an extraction tells of a file, in words and in plain values."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cxrfeat.feature.extracted import Dropped, Extracted

PATH = Path("features") / "set-net-01234567.h5"


@pytest.mark.parametrize(
    ("dropped", "said"),
    [
        (Dropped(images=1, gone=1), "had 1 image that it has no more: 1 is gone. Their"),
        (Dropped(images=3, changed=2), "had 3 images that it has no more: 2 have other bytes now, 1 is not among the"),
        (Dropped(images=2, classes=("A",)), "has no more (class A as a whole): 2 are not among the chosen."),
        (Dropped(images=2, gone=2, classes=("A", "B")), "(classes A, B as a whole): 2 are gone."),
    ],
)
def test_what_was_dropped_is_told_by_why(dropped: Dropped, said: str) -> None:
    (note,) = dropped.notes(PATH)
    assert said in note.text
    assert "set-net-01234567.spare" in note.text


def test_nothing_dropped_is_nothing_said() -> None:
    assert Dropped().notes(PATH) == []


def test_it_stands_where_a_path_can_and_is_plain_json() -> None:
    made = Extracted(
        backbone="net", path=PATH, images=3, views=2, dim=8, rows_computed=3, rows_reused=0, quarantined=(),
        seconds=1.5, views_per_second=4.0, engine="stub", random=False, dataset="set", dropped=Dropped(), rows_kept=0,
        workers="2 threads",
    )  # fmt: skip
    assert os.fspath(made) == str(PATH)
    assert json.loads(json.dumps(made.to_dict()))["path"] == str(PATH)

from __future__ import annotations

from typing import Any

from cxrfeat.reporting.labels import CSV, expected_sentence, joint_table, labels_csv, labels_table
from cxrfeat.reporting.table import RANDOM_WEIGHTS
from cxrfeat.run.table import read_csv

ONE: dict[str, Any] = {"image": "A/1.png", "image_id": "0" * 32, "label": "A", "suggested": "B", "score": 0.875}
DOCUMENT: dict[str, Any] = {
    "by": "ridge", "random_weights": False, "images": 40, "doubtful": 2, "expected_wrong": 3.4,
    "expected_wrong_ci": [1.2, 6.6], "labels": [ONE, ONE | {"image": "A/2.png"}],
    "joint": {"A": {"A": 17.0, "B": 3.4}, "B": {"A": 0.0, "B": 20.0}},
}  # fmt: skip


def test_the_table_shows_as_many_as_wanted_and_says_of_how_many() -> None:
    table = labels_table(DOCUMENT, 1)
    assert table.rows == (("A/1.png", "A", "B", "0.875"),)
    assert table.title == "Doubtful labels: 1 of 2 (judged by ridge)"
    assert RANDOM_WEIGHTS in labels_table(DOCUMENT | {"random_weights": True}, 1).title


def test_what_is_expected_is_said_with_its_interval_and_its_worth() -> None:
    assert "Of 40 labels about 3 [1, 7] are expected to be wrong." in expected_sentence(DOCUMENT)
    assert "about 3 are expected" in expected_sentence(DOCUMENT | {"expected_wrong_ci": None})
    assert joint_table(DOCUMENT).rows == (("A", "17", "3"), ("B", "0", "20"))


def test_the_file_has_every_label_and_room_for_a_decision() -> None:
    table = read_csv(labels_csv([ONE, ONE | {"suggested": "A", "image": 'a,"b'}]), CSV)
    assert table["image"] == ["A/1.png", 'a,"b']
    assert table["doubtful"] == ["yes", "no"]
    assert table["leave_out"] == ["", ""]
    assert [float(score) for score in table["score"]] == [0.875, 0.875]

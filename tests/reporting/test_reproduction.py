from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.reporting.reproduction import columns_table, confusion_table, plan_table, reproduction_table

PAPER: dict[str, Any] = {
    "trained": "softmax", "test_accuracy": 0.8361, "loss": 0.65, "accuracy": 0.96, "val_loss": 3.14,
    "val_accuracy": 0.83, "confusion": ((231, 1, 3), (6, 135, 103), (5, 0, 236)),
}  # fmt: skip
TEST: dict[str, Any] = {
    "accuracy": 0.8, "accuracy_ci": [0.7, 0.9], "images": 9, "groups": 8, "classes": ["A", "B"],
    "confusion": [[3, 1], [0, 5]],
}  # fmt: skip
TRAINING = {"loss": 0.5, "accuracy": 0.9, "val_loss": None, "val_accuracy": None, "epochs": 20}


def document(**changes: Any) -> dict[str, Any]:
    run: dict[str, Any] = {
        "row": "DN-V1", "protocol": "paper", "backbone": "densenet121", "paper": PAPER, "paper_inside": True,
        "diverged": None, "random_weights": False, "test": TEST, "training": TRAINING,
    }  # fmt: skip
    proper = {**run, "protocol": "proper", "paper_inside": None, "test": {**TEST, "accuracy": 0.85}}
    return {"runs": [run | changes, proper]}


@pytest.mark.parametrize(("inside", "said"), [(True, "inside"), (False, "outside"), (None, "not comparable")])
def test_a_row_has_the_papers_figure_ours_and_the_proper_one(inside: bool | None, said: str) -> None:
    made = reproduction_table(document(paper_inside=inside))
    assert made.rows == (
        ("DN-V1", "densenet121", "softmax", "0.8361", "0.800 [0.700, 0.900]", said, "0.850 [0.700, 0.900]"),
    )
    assert "9 images, 8 groups" in made.title


def test_what_diverged_has_random_weights_or_no_interval_says_so() -> None:
    made = reproduction_table(document(diverged="in epoch 3", random_weights=True, test={**TEST, "accuracy_ci": None}))
    assert made.rows[0][4:6] == ("0.800 [-] diverged", "-")
    assert "RANDOM WEIGHTS" in made.title


def test_the_papers_columns_stand_over_ours() -> None:
    assert columns_table(document()).rows == (
        ("DN-V1", "paper", "0.6500", "0.9600", "3.1400", "0.8300", "0.8361", ""),
        ("DN-V1", "ours", "0.5000", "0.9000", "-", "-", "0.8000", "20"),
        ("DN-V1", "proper", "0.5000", "0.9000", "-", "-", "0.8500", "20"),
    )
    assert confusion_table(document()).rows == (
        ("DN-V1", "231 1 3 / 6 135 103 / 5 0 236", "3 1 / 0 5"),
        ("DN-V1 (proper)", "", "3 1 / 0 5"),
    )


def test_a_plan_says_how_long_each_part_takes_and_all() -> None:
    parts = [{"what": "extract", "backbone": "vgg16", "size": 224, "images": 30, "seconds": 400.0}]
    made = plan_table({"parts": parts, "images": {"A": 10}, "seconds": 9000.0})
    assert made.rows == (("extract", "vgg16", "224", "30", "7 min"), ("in all, without the heads", "", "", "", "2.5 h"))
    assert "10 A" in made.title

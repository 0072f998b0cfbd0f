from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.report import table

SCORES: dict[str, Any] = {
    "accuracy": 0.75, "accuracy_ci": [0.5, 1.0], "balanced_accuracy": 0.7, "balanced_accuracy_ci": None,
    "auroc": None, "auroc_ci": None, "macro_f1": 2 / 3, "images": 8, "groups": 5, "classes": ["COVID", "NORMAL"],
    "sensitivity": {"COVID": 0.5, "NORMAL": 1.0}, "specificity": {"COVID": 1.0, "NORMAL": None},
    "sensitivity_ci": {"COVID": [0.1, 0.9], "NORMAL": None}, "specificity_ci": {"COVID": None, "NORMAL": None},
    "auroc_per_class": {"COVID": 0.9, "NORMAL": None}, "confusion": [[2, 2], [0, 4]],
}  # fmt: skip


def run(**changes: Any) -> dict[str, Any]:
    return {
        "head": "logreg",
        "backbone": "resnet50",
        "test": SCORES,
        "seconds": 1.26,
        "random_weights": False,
    } | changes


def test_scores_that_do_not_exist_are_a_dash() -> None:
    made = table.score_table([run()])
    assert made.rows == (("logreg", "resnet50", "0.750 [0.500, 1.000]", "0.700", "-", "0.667", "1.3"),)
    assert "test part: 8 images, 5 patients or groups" in made.title
    assert all(len(row) == len(made.columns) for row in made.rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"random_weights": True}, "RANDOM WEIGHTS"), ({"folds": [{"fold": 0}]}, "out-of-fold")],
)
def test_the_title_says_what_the_scores_are(changes: dict[str, Any], said: str) -> None:
    assert said not in table.score_table([run()]).title
    assert said in table.score_table([run(**changes)]).title


def test_each_class_has_its_row_of_the_confusion_matrix() -> None:
    made = table.class_table(run())
    assert made.columns[-2:] == ("as COVID", "as NORMAL")
    assert made.rows == (
        ("COVID", "0.500 [0.100, 0.900]", "1.000", "0.900", "2", "2"),
        ("NORMAL", "1.000", "-", "-", "0", "4"),
    )
    assert made.numeric == {3, 4, 5}


def test_checks_that_passed_are_not_shown() -> None:
    passed = {"check": "a", "status": "pass", "why": "w", "do": ""}
    failed = {"check": "b", "status": "fail", "why": "x", "do": "y"}
    assert table.audit_table([passed]) is None
    made = table.audit_table([failed, passed])
    assert made is not None
    assert made.rows == (("fail", "b", "x", "y"),)


def test_a_tie_is_called_one_and_what_cannot_be_compared_says_why() -> None:
    differences: list[dict[str, Any]] = [
        {"a": "best", "b": "one", "difference": 0.1, "ci": [-0.1, 0.3], "p": 0.2, "p_holm": 0.4, "tied": True},
        {"a": "best", "b": "two", "difference": 0.5, "ci": [0.3, 0.7], "p": 0.01, "p_holm": 0.02, "tied": False},
        {"a": "best", "b": "three", "why": "not tested on the same images"},
        {"a": "best", "b": "four", "difference": 0.5, "ci": None, "p": None, "tied": True},
    ]
    made = table.difference_table(differences)
    assert "best" in made.title
    assert made.rows == (
        ("one", "0.100 [-0.100, 0.300]", "0.4000", "tied"),
        ("two", "0.500 [0.300, 0.700]", "0.0200", "different"),
        ("three", "-", "-", "not tested on the same images"),
        ("four", "0.500", "-", "tied"),
    )
    assert table.difference_table([]).rows == ()


def test_unusable_images_are_listed_up_to_a_limit() -> None:
    bad = [{"path": f"{number}.png", "stage": "decode", "reason": "cut short"} for number in range(25)]
    assert table.quarantine_table([]) is None
    made = table.quarantine_table(bad, most=3)
    assert made is not None
    assert [row[0] for row in made.rows] == ["0.png", "1.png", "2.png", "... and 22 more"]
    assert made.title.startswith("25 images")


def test_an_image_unlike_the_others_is_marked() -> None:
    one = {"image": "a.png", "label": "COVID", "probabilities": {"COVID": 0.9, "NORMAL": 0.1}}
    document = {
        "run": "r",
        "random_weights": True,
        "predictions": [{**one, "out_of_distribution": True}, {**one, "out_of_distribution": False}],
    }
    made = table.prediction_table(document)
    assert made.rows[0] == ("a.png", "COVID", "0.900", "0.100", "unlike the training images")
    assert made.rows[1][-1] == ""
    assert "RANDOM WEIGHTS" in made.title


def test_a_rate_is_shown_only_for_what_was_computed() -> None:
    file = {
        "backbone": "vgg16", "images": 4, "views": 2, "dim": 512, "rows_computed": 4, "rows_reused": 0,
        "views_per_second": 12.34, "path": "features/x.h5", "random": False, "engine": "keras",
    }  # fmt: skip
    made = table.extract_table([file, {**file, "rows_computed": 0, "rows_reused": 4, "random": True}])
    assert made.rows[0] == ("vgg16", "4 x 2 x 512", "4", "0", "12.3", "keras", "features/x.h5")
    assert made.rows[1][4] == "-"
    assert "RANDOM WEIGHTS" in made.title


def test_every_table_of_an_index_has_rows_as_wide_as_its_columns() -> None:
    found = {
        "dataset": "d", "images": 3, "classes": {"COVID": 2, "NORMAL": 1}, "sources": {"unknown": 3},
        "formats": {"PNG": 3}, "sizes": {"smallest": [1, 2]}, "patients": 1, "unknown_patients": 2, "groups": 2,
        "duplicates": 0, "quarantined": [{"path": "x", "stage": "open", "reason": "y"}], "splits": {"train": 3},
    }  # fmt: skip
    made = table.index_tables(found)
    assert len(made) == 3
    for each in made:
        assert all(len(row) == len(each.columns) for row in each.rows)
    assert ("part", "train", "3") in made[1].rows
    assert len(table.index_tables({**found, "quarantined": []})) == 2

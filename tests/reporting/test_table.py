from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from cxrfeat.reporting import table

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
    assert made.rows == (("logreg", "resnet50", "0.750 [0.500, 1.000]", "0.700 [-]", "-", "0.667", "1.3"),)
    assert "test part: 8 images, 5 patients or groups" in made.title
    assert all(len(row) == len(made.columns) for row in made.rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"random_weights": True}, "RANDOM WEIGHTS"), ({"folds": [{"fold": 0}]}, "out-of-fold")],
)
def test_the_title_says_what_the_scores_are(changes: dict[str, Any], said: str) -> None:
    assert said not in table.score_table([run()]).title
    assert said in table.score_table([run(**changes)]).title


def test_each_class_has_a_row_with_its_operating_point() -> None:
    plain = run()
    point = {"threshold": 0.4, "sensitivity": 0.75, "specificity": 0.88}
    plain["test"]["operating_points"] = {"chosen_on": "validation", "COVID": {"at_threshold": point}, "NORMAL": {}}
    made = table.class_table(plain)
    assert "chosen on validation" in made.title
    assert made.rows == (
        ("COVID", "0.500 [0.100, 0.900]", "1.000 [-]", "0.750 at 0.880", "0.900"),
        ("NORMAL", "1.000 [-]", "-", "-", "-"),
    )
    assert made.numeric == {4}


def test_images_are_counted_by_class_and_whatever_else_is_known() -> None:
    made = table.counts_table(
        ("COVID", "NORMAL"), [0, 0, 1], [5, 5, 6], {"": ["test", "train", None], "source": ["B", None, "A"]}
    )
    assert made.columns == ("class", "images", "patients or groups", "test", "train", "source A", "source B")
    assert made.rows == (
        ("COVID", "2", "1", "1", "1", "0", "1"),
        ("NORMAL", "1", "1", "0", "0", "1", "0"),
        ("all", "3", "2", "1", "1", "1", "1"),
    )


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
        ("four", "0.500 [-]", "-", "cannot be told"),
    )
    assert replace(made, columns=made.columns).title.count("[-]: no interval, for fewer than 8 patients or groups") == 1
    assert "[-]" not in table.difference_table(differences[:3]).title
    assert table.difference_table([]).rows == ()


def test_other_measures_have_a_line_per_run() -> None:
    auroc = {"difference": 0.1, "ci": [-0.1, 0.3], "p": 0.2, "p_holm": 0.4, "tied": True}
    nothing = {"difference": None, "ci": None, "p": None, "tied": True}
    made = table.other_difference_table(
        [
            {"a": "best", "b": "one", "auroc": auroc, "mcnemar": {"only_a": 5, "only_b": 3, "p": 0.7, "p_holm": 1.0}},
            {"a": "best", "b": "two", "auroc": {**auroc, "tied": False, "p_holm": 0.01}, "mcnemar": None},
            {"a": "best", "b": "three", "auroc": nothing, "mcnemar": None},
            {"a": "best", "b": "four", "why": "not tested on the same images"},
        ]
    )
    assert made.rows == (
        ("one", "0.100 [-0.100, 0.300]", "0.4000", "tied", "5", "3", "1.0000"),
        ("two", "0.100 [-0.100, 0.300]", "0.0100", "different", "-", "-", "-"),
        ("three", "-", "-", "-", "-", "-", "-"),
        ("four", "-", "-", "not tested on the same images", "-", "-", "-"),
    )
    assert "best" in made.title
    assert table.other_difference_table([]).rows == ()


TRAINING = {"loss": 0.65014, "accuracy": 0.9588, "val_loss": 3.1393, "val_accuracy": None, "epochs": 20.0}


def test_the_studys_table_has_its_columns_and_a_dash_for_what_a_head_has_not() -> None:
    made = table.paper_table([run(training=TRAINING), run(training=dict.fromkeys(TRAINING), random_weights=True)])
    assert made.columns[2:] == (
        "loss", "accuracy", "validation loss", "validation accuracy", "test accuracy", "epochs"
    )  # fmt: skip
    assert made.rows == (
        ("logreg", "resnet50", "0.6501", "0.9588", "3.1393", "-", "0.7500", "20"),
        ("logreg", "resnet50", "-", "-", "-", "-", "0.7500", "-"),
    )
    assert "RANDOM WEIGHTS" in made.title


WORTH = {
    "prevalence": 0.1, "sensitivity": 0.5, "sensitivity_ci": [0.1, 0.9], "specificity": 1.0, "specificity_ci": None,
    "ppv": 0.25, "ppv_ci": [0.125, 0.5], "npv": None, "npv_ci": None,
}  # fmt: skip


def test_predictive_values_are_shown_where_a_prevalence_was_stated() -> None:
    assert table.predictive_table([run(predictive_values={})]) is None
    made = table.predictive_table([run(predictive_values={"COVID": WORTH}), run(predictive_values={})])
    assert made is not None
    assert made.rows == (
        ("logreg", "resnet50", "COVID", "0.1", "0.500 [0.100, 0.900]", "1.000 [-]", "0.250 [0.125, 0.500]", "-"),
    )


def full(name: str, **changes: Any) -> dict[str, Any]:
    return run(run=name, dataset="d", training=TRAINING, predictive_values={"COVID": WORTH}) | changes


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_csv_has_a_row_per_run_and_an_empty_cell_for_what_is_not() -> None:
    differences: list[dict[str, Any]] = [
        {"a": "a", "b": "b", "difference": 1 / 3, "ci": [-0.1, 0.3], "p": 0.2, "p_holm": 0.4, "tied": True},
        {"a": "a", "b": "c", "difference": 0.5, "ci": [0.4, 0.6], "p": 0.0, "p_holm": 0.0, "tied": False},
        {"a": "a", "b": "d", "why": "not tested on the same images"},
    ]
    runs = [full("a"), full("b", folds=[{"fold": 0}]), full("c"), full("d")]
    rows = read(table.comparison_csv({"runs": runs, "comparisons": differences}))
    assert [row["verdict"] for row in rows] == ["best", "tied", "different", "not tested on the same images"]
    assert [row["difference"] for row in rows] == ["", repr(1 / 3), "0.5", ""]
    assert [row["tested"] for row in rows] == ["test part", "out-of-fold", "test part", "test part"]
    first = rows[0]
    assert (first["macro_f1"], first["auroc"], first["auprc"]) == (repr(2 / 3), "", "")
    assert (first["accuracy low"], first["accuracy high"], first["balanced_accuracy low"]) == ("0.5", "1.0", "")
    assert (first["specificity NORMAL"], first["auroc COVID"], first["auprc COVID"]) == ("", "0.9", "")
    assert (first["training_loss"], first["validation_accuracy"], first["epochs"]) == ("0.65014", "", "20.0")
    assert (first["ppv COVID low"], first["npv COVID"], first["prevalence NORMAL"]) == ("0.125", "", "")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=cmd()", "'=cmd()"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), (" =1", "' =1"),
        ("\t=1", "\\t=1"), ("\r=1", "\\r=1"), ("a\r=1", "a\\r=1"), ("a\n=1", "a\\n=1"), ("a,=1", "a,=1"),
        ('"=1', '"=1'),
    ],
)  # fmt: skip
def test_names_that_a_spreadsheet_would_run_are_not_run(name: str, cell: str) -> None:
    comparison: dict[str, Any] = {"runs": [full(name, dataset=name)], "comparisons": []}
    comparison["runs"][0]["test"] = {**SCORES, "classes": [name], "accuracy": -0.25}
    text = table.comparison_csv(comparison)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in rows] == [len(rows[0])] * 2
    row = dict(zip(*rows, strict=True))
    assert row["run"] == row["dataset"] == cell
    assert row["accuracy"] == "-0.25", "numbers are numbers"
    assert not any(each.startswith(("=", "+", "@", "\t", "\r")) for each in (*rows[0], *rows[1]))


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
        "duplicates": 0, "masks": 1,
        "quarantined": [{"path": "x", "stage": "open", "reason": "y"}], "splits": {"train": 3},
    }  # fmt: skip
    made = table.index_tables(found)
    assert len(made) == 3
    for each in made:
        assert all(len(row) == len(each.columns) for row in each.rows)
    assert ("part", "train", "3") in made[1].rows
    assert len(table.index_tables({**found, "quarantined": []})) == 2

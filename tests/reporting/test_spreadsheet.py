from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from cxrfeat.reporting.spreadsheet import comparison_csv
from tests.reporting.documents import SCORES, full


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_csv_has_a_row_per_run_and_an_empty_cell_for_what_is_not() -> None:
    differences: list[dict[str, Any]] = [
        {"a": "a", "b": "b", "difference": 1 / 3, "ci": [-0.1, 0.3], "p": 0.2, "p_holm": 0.4, "tied": True},
        {"a": "a", "b": "c", "difference": 0.5, "ci": [0.4, 0.6], "p": 0.0, "p_holm": 0.0, "tied": False},
        {"a": "a", "b": "d", "why": "not tested on the same images"},
    ]
    runs = [full("a"), full("b", folds=[{"fold": 0}]), full("c"), full("d")]
    rows = read(comparison_csv({"runs": runs, "comparisons": differences}))
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
    text = comparison_csv(comparison)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in rows] == [len(rows[0])] * 2
    row = dict(zip(*rows, strict=True))
    assert row["run"] == row["dataset"] == cell
    assert row["accuracy"] == "-0.25", "numbers are numbers"
    assert not any(each.startswith(("=", "+", "@", "\t", "\r")) for each in (*rows[0], *rows[1]))

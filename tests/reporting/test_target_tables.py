from __future__ import annotations

from typing import Any

from cxrfeat.reporting.target_tables import target_tables


def difference(value: float, *, tied: bool = False) -> dict[str, Any]:
    return {"difference": value, "ci": [value - 0.1, value + 0.1], "p": 0.01, "p_holm": 0.02, "tied": tied}


def number(name: str, mae: float) -> dict[str, Any]:
    test: dict[str, Any] = {"mae": mae, "rmse": mae + 1, "r2": 0.5, "images": 90, "groups": 40}
    test |= {f"{error}_ci": [0.0, 9.0] for error in ("mae", "rmse", "r2")}
    return {"run": name, "random_weights": name == "b", "test": test}


def test_runs_of_a_number_are_a_table_and_their_differences_another() -> None:
    told: list[dict[str, Any]] = [
        {"a": "a", "b": "b", **{name: difference(-2.0) for name in ("mae", "rmse", "r2")}},
        {"a": "a", "b": "c", "why": "not tested on the same images: 1 of 3 are of both runs"},
    ]
    runs = [number("a", 2.0), number("b", 4.0), number("c", 5.0)]
    scores, differences = target_tables({"target": "age", "kind": "number", "runs": runs, "comparisons": told})
    assert [row[0] for row in scores.rows] == ["a", "b", "c"]
    assert scores.rows[0][3] == "2.000 [0.000, 9.000]"
    assert "RANDOM WEIGHTS" in scores.title
    assert [row[-1] for row in differences.rows] == ["different", told[1]["why"]]
    assert differences.rows[0][4] == "0.0200"
    (alone,) = target_tables({"target": "age", "kind": "number", "runs": runs[:1], "comparisons": []})
    assert len(alone.rows) == 1


def test_findings_are_told_with_their_mean_first() -> None:
    rates: dict[str, Any] = {}
    for name in ("prevalence", "auroc", "auprc", "sensitivity"):
        rates |= {name: 0.5, f"{name}_ci": [0.4, 0.6]}
    told = {"a": "a", "b": "b", "mean": difference(0.2), "findings": {"Mass": difference(0.05, tied=True)}}
    compared = {
        "target": "findings", "kind": "findings", "comparisons": [told, {"a": "a", "b": "c", "why": "x"}],
        "runs": [{"run": "a", "random_weights": False}], "macro": [{"run": "a", "findings": 3, **rates}],
    }  # fmt: skip
    scores, differences = target_tables(compared)
    assert scores.rows == (("a", "3", *["0.500 [0.400, 0.600]"] * 4),)
    assert [(row[1], row[-1]) for row in differences.rows] == [("mean", "different"), ("Mass", "tied"), ("-", "x")]

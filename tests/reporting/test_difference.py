from __future__ import annotations

from dataclasses import replace
from typing import Any

from cxrfeat.reporting.difference import difference_table, other_difference_table


def test_a_tie_is_called_one_and_what_cannot_be_compared_says_why() -> None:
    differences: list[dict[str, Any]] = [
        {"a": "best", "b": "one", "difference": 0.1, "ci": [-0.1, 0.3], "p": 0.2, "p_holm": 0.4, "tied": True},
        {"a": "best", "b": "two", "difference": 0.5, "ci": [0.3, 0.7], "p": 0.01, "p_holm": 0.02, "tied": False},
        {"a": "best", "b": "three", "why": "not tested on the same images"},
        {"a": "best", "b": "four", "difference": 0.5, "ci": None, "p": None, "tied": True},
    ]
    made = difference_table(differences)
    assert "best" in made.title
    assert made.rows == (
        ("one", "0.100 [-0.100, 0.300]", "0.4000", "tied"),
        ("two", "0.500 [0.300, 0.700]", "0.0200", "different"),
        ("three", "-", "-", "not tested on the same images"),
        ("four", "0.500 [-]", "-", "cannot be judged"),
    )
    assert replace(made, columns=made.columns).title.count("[-]: no interval, for fewer than 8 patients or groups") == 1
    assert "[-]" not in difference_table(differences[:3]).title
    assert difference_table([]).rows == ()


def test_other_measures_have_a_line_per_run() -> None:
    auroc = {"difference": 0.1, "ci": [-0.1, 0.3], "p": 0.2, "p_holm": 0.4, "tied": True}
    nothing = {"difference": None, "ci": None, "p": None, "tied": True}
    made = other_difference_table(
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
    assert other_difference_table([]).rows == ()

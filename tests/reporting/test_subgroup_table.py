from __future__ import annotations

from typing import Any

from cxrfeat.reporting.subgroup_table import gap_table, subgroup_table

FIGURES = ("prevalence", "sensitivity", "specificity", "auroc", "ece")


def row(value: str, *, small: bool = False, name: str = "COVID") -> dict[str, Any]:
    told = dict.fromkeys(FIGURES, 0.5) | {f"{figure}_ci": None if small else [0.4, 0.6] for figure in FIGURES}
    return {"run": "r", "by": "sex", "value": value, "class": name, "images": 9, "groups": 4, "small": small, **told}


def gap(figure: str, *, tied: bool, largest: bool) -> dict[str, Any]:
    about = {"run": "r", "by": "sex", "class": "COVID", "figure": figure, "high": "M", "low": "F"}
    return about | {"difference": 0.2, "ci": [0.1, 0.3], "p": 0.001, "p_holm": 0.012, "tied": tied, "largest": largest}


def test_small_subgroups_are_marked_and_grey_and_there() -> None:
    made = subgroup_table([row("F"), row("unknown", small=True), {**row("F"), "run": "other"}], "r")
    assert [cells[1] for cells in made.rows] == ["F", "unknown *"]
    assert made.rows[0][5:] == ("0.500 [0.400, 0.600]",) * 5
    assert made.grey == frozenset({1})
    assert "* small: fewer than 8 patients or groups" in made.title
    assert "* small" not in subgroup_table([row("F")], "r").title


def test_one_class_says_that_the_other_mirrors_it() -> None:
    assert "COVID, 95 % intervals (the sensitivity of the other class" in subgroup_table([row("F")], "r").title
    assert "each class against the rest" in subgroup_table([row("F"), row("F", name="NORMAL")], "r").title


def test_the_largest_gaps_are_shown_and_others_that_are_real() -> None:
    made = gap_table(
        [
            gap("sensitivity", tied=False, largest=True),
            gap("auroc", tied=True, largest=True),
            gap("ece", tied=False, largest=False),
            gap("specificity", tied=True, largest=False),
        ],
        "r",
    )
    assert made is not None
    assert [(cells[2], cells[-1]) for cells in made.rows] == [
        ("sensitivity", "different"), ("AUROC", "may be chance"), ("calibration error", "different"),
    ]  # fmt: skip
    assert made.rows[0][3:7] == ("M", "F", "0.200 [0.100, 0.300]", "0.0120")
    assert "corrected for the 4 gaps" in made.title
    assert gap_table([], "r") is None
    tiny = gap_table([gap("ece", tied=False, largest=True) | {"p_holm": 1e-9}], "r")
    assert tiny is not None
    assert tiny.rows[0][6] == "< 0.0001"

from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.reporting.shortcut import encoded_table, ratio_text, shortcut_table, source_table, within_table

PAIR: dict[str, Any] = {
    "classes": ["COVID", "NORMAL"], "identifiable": True, "known": True, "images": 8, "auroc": 0.75,
    "auroc_ci": [0.5, 1.0],
}  # fmt: skip
WITHIN: dict[str, Any] = {
    "known": True, "images": 8, "sources": 2, "accuracy": 0.7, "accuracy_ci": [0.6, 0.8], "chance": 0.625,
    "pairs": [PAIR],
}  # fmt: skip
CONTROL = {"accuracy": 0.6, "accuracy_ci": [0.5, 0.7], "auroc": 0.7, "auroc_ci": [0.6, 0.8], "ratio": 0.5}


def run(**test: Any) -> dict[str, Any]:
    return {"head": "ridge", "backbone": "vgg16", "test": test}


def test_what_sees_no_lungs_has_a_line_for_each_run() -> None:
    assert shortcut_table([run()]) is None
    made = shortcut_table([run(shortcuts={"container": {**CONTROL, "ratio_ci": [0.3, 0.7]}})])
    assert made is not None
    assert made.rows == (
        ("ridge", "container", "0.600 [0.500, 0.700]", "0.700 [0.600, 0.800]", "0.500 [0.300, 0.700]"),
    )


def test_a_ratio_of_a_model_that_may_be_at_chance_has_no_interval_and_says_so() -> None:
    assert ratio_text({**CONTROL, "ratio_ci": None}) == "0.500, the model may be at chance"
    assert ratio_text({**CONTROL, "ratio_ci": None, "auroc_ci": None}) == "0.500 [-]"


def test_what_else_the_features_know_is_told_with_what_it_has_to_do_with_the_class() -> None:
    assert encoded_table([]) is None
    sex = {"name": "sex", "auroc": 0.9, "auroc_ci": [0.8, 0.95], "values": ["F", "M"], "cut": None, "images": 40}
    age: dict[str, Any] = {"name": "age", "auroc": None, "auroc_ci": None, "values": [], "cut": 52.5, "images": 0}
    made = encoded_table([{**sex, "cramers_v": 0.312}, {**age, "cramers_v": 0.0}])
    assert made is not None
    assert made.rows == (
        ("sex", "F / M", "0.900 [0.800, 0.950]", "0.31", "40"),
        ("age", "upper half of a class from its lower", "no class has two", "0.00", "0"),
    )


def test_what_remains_within_sources_has_a_line_for_all_and_for_each_pair() -> None:
    assert source_table([run(), run(within_source={**WITHIN, "known": False})]) is None
    made = source_table([run(within_source=WITHIN)])
    assert made is not None
    assert [row[2:] for row in made.rows] == [
        ("0.700 [0.600, 0.800]", "against 0.625 by the source alone"),
        ("0.750 [0.500, 1.000]", "AUROC"),
    ]
    assert made.rows[0][1] == "all classes, 8 images of 2 sources with several classes"
    lone = source_table([run(within_source={**WITHIN, "images": 1, "sources": 1})])
    assert lone is not None
    assert lone.rows[0][1] == "all classes, 1 image of 1 source with several classes"


@pytest.mark.parametrize(
    ("changes", "source", "within"),
    [
        ({"identifiable": False}, "not identifiable: they share no source", "not identifiable"),
        ({"identifiable": False, "known": False}, "source unknown", "source unknown"),
    ],
)
def test_a_pair_that_no_source_holds_both_of_says_why_it_has_no_score(
    changes: dict[str, Any], source: str, within: str
) -> None:
    told = run(within_source={**WITHIN, "pairs": [{**PAIR, **changes}]})
    terminal, page = source_table([told]), within_table([told])
    assert terminal is not None
    assert page is not None
    assert terminal.rows[-1][2:] == ("-", source)
    assert page.rows == (("ridge", "vgg16", "0.700 [0.600, 0.800]", within),)
    assert page.columns[-1] == "COVID / NORMAL"

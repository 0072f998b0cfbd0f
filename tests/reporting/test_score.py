from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.reporting.score import class_table, paper_table, predictive_table, score_table
from tests.reporting.documents import TRAINING, WORTH, run


def test_scores_that_do_not_exist_are_a_dash() -> None:
    made = score_table([run()])
    assert made.rows == (("logreg", "resnet50", "0.750 [0.500, 1.000]", "0.700 [-]", "-", "0.667", "1.3"),)
    assert "test part: 8 images, 5 patients or groups" in made.title
    assert all(len(row) == len(made.columns) for row in made.rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"random_weights": True}, "RANDOM WEIGHTS"), ({"folds": [{"fold": 0}]}, "out-of-fold")],
)
def test_the_title_says_what_the_scores_are(changes: dict[str, Any], said: str) -> None:
    assert said not in score_table([run()]).title
    assert said in score_table([run(**changes)]).title


def test_each_class_has_a_row_with_its_operating_point() -> None:
    plain = run()
    point = {"threshold": 0.4, "sensitivity": 0.75, "specificity": 0.88}
    plain["test"]["operating_points"] = {
        "chosen_on": "validation", "classes": {"COVID": {"at_threshold": point}, "NORMAL": {}}
    }  # fmt: skip
    made = class_table(plain)
    assert "chosen on validation" in made.title
    assert made.rows == (
        ("COVID", "0.500 [0.100, 0.900]", "1.000 [-]", "0.750 at 0.880", "0.900"),
        ("NORMAL", "1.000 [-]", "-", "-", "-"),
    )
    assert made.numeric == {4}


def test_the_papers_table_has_its_columns_and_a_dash_for_what_a_head_has_not() -> None:
    made = paper_table([run(training=TRAINING), run(training=dict.fromkeys(TRAINING), random_weights=True)])
    assert made.columns[2:] == (
        "loss", "accuracy", "validation loss", "validation accuracy", "test accuracy", "epochs"
    )  # fmt: skip
    assert made.rows == (
        ("logreg", "resnet50", "0.6501", "0.9588", "3.1393", "-", "0.7500", "20"),
        ("logreg", "resnet50", "-", "-", "-", "-", "0.7500", "-"),
    )
    assert "RANDOM WEIGHTS" in made.title


def test_predictive_values_are_shown_where_a_prevalence_was_stated() -> None:
    assert predictive_table([run(predictive_values={})]) is None
    made = predictive_table([run(predictive_values={"COVID": WORTH}), run(predictive_values={})])
    assert made is not None
    assert made.rows == (
        ("logreg", "resnet50", "COVID", "0.1", "0.500 [0.100, 0.900]", "1.000 [-]", "0.250 [0.125, 0.500]", "-"),
    )

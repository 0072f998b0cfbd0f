"""How much work a search is, and which searches there cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.errors import UsageError
from cxrfeat.tuning.plan import Plan, rungs
from cxrfeat.tuning.space import Space


def test_rungs_go_from_one_fold_to_all_of_them() -> None:
    assert [rungs(count) for count in (2, 4, 5, 9, 10)] == [[1, 2], [1, 2, 4], [1, 2, 5], [1, 3, 9], [1, 3, 10]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trials": 0}, "`trials` is how many configurations are drawn, at least 1; got 0"),
        ({"inner_folds": 1}, "`inner_folds` is at least 2.*got 1"),
        ({"jobs": 0}, "`jobs` is .*at least 1; got 0"),
        ({"sampler": "grid"}, "`sampler` is halving or optuna; got 'grid'"),
        ({"by": "f1"}, "`by` is accuracy, balanced-accuracy, auroc, log-loss, mae or rmse; got 'f1'"),
    ],
)
def test_a_search_that_cannot_be_made_is_no_plan(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Plan(**settings)


def test_work_is_counted_fold_by_fold_and_a_path_as_one_fit() -> None:
    swept = Space(kinds=("logreg",), views=1)
    assert Plan(inner_folds=3).fits(swept) == 3
    drawn = Space(kinds=("svm-rbf",), views=1)
    # A default on 4 folds; 9 draws on the first fold, 3 on the second, 1 on the last two.
    assert Plan(trials=9, inner_folds=4).fits(drawn) == 4 + 9 + 3 + 2
    assert Plan(trials=9, inner_folds=4, sampler="optuna").fits(drawn) == 4 + 4 * 9


def test_the_record_holds_what_the_choice_depends_on_and_not_how_fast_it_was_made() -> None:
    space = Space(kinds=("logreg", "svm-rbf"), views=2, seed=7)
    assert Plan(jobs=1).record(space) == Plan(jobs=2).record(space)
    told = Plan(trials=5, by="auroc").record(space)
    assert (told.trials, told.by, told.heads, told.seed) == (5, "auroc", ("logreg", "svm-rbf"), 7)
    assert told != Plan(trials=5).record(space)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.regression import fit_number
from cxrfeat.workflow.tune import tune
from cxrfeat.workflow.tune_number import tune_number
from tests.workflow.helpers import make_features


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(240, 1, 6)).astype(np.float32)
    ages = [None if at % 9 == 0 else float(50 + 10 * X[at, 0, 0] + rng.normal()) for at in range(240)]
    return make_features(tmp_path / "f.h5", groups=60, views=1, features=X, ages=ages)


def test_the_choice_is_made_on_the_training_part_and_tested_once(path: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    steps: list[tuple[str, int, int]] = []
    tuned = tune_number(path, "age", "ridge", inner_folds=3, runs=runs, progress=lambda *step: steps.append(step))
    document = tuned.document
    assert document.search is not None
    assert (document.search.settings.by, document.test_openings) == ("mae", 1)
    assert document.search.found.score < 2
    assert document.search.found.gain is not None
    assert document.search.found.gain > 0, "the ridge as it is by default shrinks too much here"
    (default,) = fit_number(path, "age", runs=runs).runs
    assert document.test.mae < default.document.test.mae  # type: ignore[union-attr]  # of a number
    assert steps[-1][1] == steps[-1][2]
    chosen: Any = document.search.found.chosen.spec
    assert isinstance(chosen, HeadSpec)
    (alone,) = fit_number(path, "age", chosen, runs=tmp_path / "others").runs
    assert alone.document.test == document.test  # type: ignore[union-attr]  # likewise
    again = tune_number(path, "age", "ridge", inner_folds=3, runs=runs)
    assert again.reused
    assert again.run == tuned.run
    assert not list(runs.glob(".tune-*"))
    told = again.to_dict()["runs"][0]
    assert (told["target"], told["reused"], told["search"]["by"]) == ("age", True, "mae")


def test_no_test_image_is_seen_by_the_search(path: Path, tmp_path: Path) -> None:
    first = tune_number(path, "age", "ridge", inner_folds=3, runs=tmp_path / "a")
    with FeatureFile(path) as file:
        test = set(file.split().folds[0].test.tolist())
        X, ages = file.read(), file.numbers("age")
    other = [None if np.isnan(age) else float(age) + 40 * (row in test) for row, age in enumerate(ages)]
    changed = make_features(tmp_path / "g.h5", groups=60, views=1, features=X, ages=other)
    second = tune_number(changed, "age", "ridge", inner_folds=3, runs=tmp_path / "b")
    assert first.document.search is not None
    assert second.document.search is not None
    assert first.document.search.found.score == second.document.search.found.score
    assert second.document.test.mae > first.document.test.mae + 20


def test_what_goes_with_classes_does_not_go_with_numbers(path: Path, tmp_path: Path) -> None:
    by: Any = "accuracy"
    with pytest.raises(UsageError, match="`by=accuracy` is a score of classes; for 'age', a number, choose"):
        tune_number(path, "age", by=by, runs=tmp_path)
    with pytest.raises(UsageError, match="`by=mae` is a score of numbers"):
        tune(path, by="mae", runs=tmp_path)
    with pytest.raises(UsageError, match="knn cannot"):
        tune_number(path, "age", "knn", runs=tmp_path)

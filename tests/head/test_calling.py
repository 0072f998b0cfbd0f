from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.head.calling import calling_of_run, sets_of_run
from cxrfeat.run.folder import Run
from cxrfeat.workflow.fit_head import fit
from tests.run.golden import golden
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_features(tmp_path_factory.mktemp("made") / "f.h5", groups=160, per_group=1, distance=1.5)


@pytest.fixture(scope="module")
def run(features: Path) -> Run:
    return fit(features, "logreg", runs=features.parent / "runs").runs[0]


def test_sets_hold_the_class_of_the_test_about_as_often_as_asked(run: Run) -> None:
    found = sets_of_run(run, 0.8)
    assert found.calibrated_on == "validation"
    assert found.on_test["images"] == run.document.test.images
    low, high = found.on_test["coverage_ci"]
    assert 0.65 < low < found.on_test["coverage"] < high, "few patients calibrate, so it may be more than asked"
    assert found.conformal.groups.keys() == set(run.document.classes)
    told = found.to_dict()
    assert told["asked"] == 0.8
    assert told["on_test"]["size"] >= 1 - told["on_test"]["none"]


def test_an_image_unlike_the_training_images_may_be_of_any_class_and_no_set_loses_one(run: Run) -> None:
    said = run.predictions().probabilities
    unlike = np.arange(len(said)) % 3 == 0
    found = sets_of_run(run, 0.8)
    sets, usual = found.of(said, unlike), found.conformal.sets(said)
    assert sets[unlike].all()
    assert (sets >= usual).all()
    assert (sets == usual)[~unlike].all()


def test_where_images_take_turns_each_is_judged_by_the_other_folds(tmp_path: Path) -> None:
    features = make_features(tmp_path / "f.h5", groups=50, per_group=1, distance=1.5)
    crossed = fit(features, "ridge", fold_count=3, repeats=2, runs=tmp_path / "runs").runs[0]
    found = sets_of_run(crossed, 0.9)
    assert found.calibrated_on == "the folds"
    assert found.on_test["images"] == 100, "each image once, whatever it was tested"
    low, high = found.on_test["coverage_ci"]
    assert low < 0.9 < high
    assert calling_of_run(crossed, "sensitivity-0.9").chosen_on == "these images"


def test_thresholds_keep_to_their_name_on_validation_images(run: Run) -> None:
    for name in ("sensitivity-0.95", "specificity=.9"):
        found = calling_of_run(run, name)
        assert found.name == name.replace("=.", "-0.")
        assert found.thresholds.keys() == set(run.document.classes)
        point = found.on_test["COVID"]
        assert point["threshold"] == found.thresholds["COVID"]
        assert point["sensitivity_ci"] is not None
    stated = {name: one.at_threshold for name, one in run.document.test.operating_points.classes.items()}
    assert {name: one and one.threshold for name, one in stated.items()} == calling_of_run(
        run, "specificity-0.9"
    ).thresholds
    assert found.of({"COVID": 1.0, "NORMAL": 0.0}) == {"COVID": True, "NORMAL": False}


@pytest.mark.parametrize("name", ["best", "sensitivity", "sensitivity-0", "sensitivity-2", "specificity-.", ""])
def test_no_name_of_a_threshold_is_refused_with_those_that_are(name: str, run: Run) -> None:
    with pytest.raises(UsageError, match=r"`threshold` is what to keep to.*sensitivity-0.9, specificity-0.95"):
        calling_of_run(run, name)


def test_no_share_and_a_run_without_validation_are_refused(run: Run, features: Path) -> None:
    with pytest.raises(UsageError, match=r"`coverage` is a share above 0 and below 1, such as 0\.9; got 90"):
        sets_of_run(run, 90)
    golden_run = golden("logreg")
    told = golden_run.predictions()
    if len(told.validated):
        assert sets_of_run(golden_run, 0.9).conformal.coverage == 0.9
    else:
        with pytest.raises(InputError, match="has no validation images"):
            sets_of_run(golden_run, 0.9)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.crossing import cross_validate
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Fold
from cxrfeat.head.data import load
from cxrfeat.head.estimator import RidgeHead
from cxrfeat.head.fit import fit_head
from cxrfeat.head.left_out import left_out_by_folds, left_out_by_ridge
from cxrfeat.spec import HeadSpec
from tests.workflow.helpers import make_features


@pytest.mark.parametrize("classes", [("A", "B"), ("A", "B", "C")])
def test_ridge_says_what_its_estimator_says_without_the_group(classes: tuple[str, ...], tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5", classes=classes, distance=5)) as file:
        found = left_out_by_ridge(file)
        X, y, groups = file.arrays()
        decision = RidgeHead().leave_group_out(X, y, groups)
    np.testing.assert_allclose(found.sum(1), 1)
    if len(classes) == 2:
        told = np.log(found[:, 1] / found[:, 0])
        np.testing.assert_allclose(told / decision, (told / decision)[0], err_msg="one temperature for all")
    else:
        assert (found.argmax(1) == decision.argmax(1)).all()
    assert (found.argmax(1) == y).mean() > 0.8


def test_one_patient_cannot_be_left_out(tmp_path: Path) -> None:
    rows = make_features(tmp_path / "f.h5", groups=1, per_group=40)
    with FeatureFile(rows) as file:
        file.__dict__["groups"] = np.zeros(file.images, np.int64)
        with pytest.raises(InputError, match="are of one patient or copies, so none can be left out"):
            left_out_by_ridge(file)


def test_no_head_of_the_folds_has_seen_the_image(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5")) as file:
        data = load(file)
        spec = HeadSpec(kind="logreg")
        found = left_out_by_folds(data, spec, 4, seed=1)
        for fold in cross_validate(file.table, 4, seed=1).folds:
            again = fit_head(
                spec, data.training(Fold(name="x", train=fold.train, validation=fold.validation, test=np.arange(0)))
            )
            np.testing.assert_allclose(found[fold.test], data.probabilities(again.head, fold.test))
            assert not set(file.groups[fold.train]) & set(file.groups[fold.test])

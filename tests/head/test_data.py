"""Features in memory: the rows of a fold, and what a head says of them by one view or by all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.head.data import load
from cxrfeat.head.fit import fit_head
from cxrfeat.spec import HeadSpec
from tests.workflow.helpers import make_features


def test_all_views_are_trained_on_and_the_plain_one_is_validated_on(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5", views=3)) as file:
        data = load(file)
        (fold,) = part_images(file).folds
        training = data.training(fold)
        np.testing.assert_array_equal(training.X, file.read()[fold.train])
        np.testing.assert_array_equal(training.X_val, file.read()[fold.validation, 0])
        assert training.y.tolist() == file.labels[fold.train].tolist()
        assert data.novelty(fold) is data.novelty(fold), "learned once for all heads"


def test_the_mean_over_views_is_that_of_the_probabilities(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5", views=3)) as file:
        plain, mean = load(file), load(file, tta=True)
        (fold,) = part_images(file).folds
        head = fit_head(HeadSpec(kind="logreg"), plain.training(fold)).head
        np.testing.assert_array_equal(plain.probabilities(head, fold.test), head.predict_proba(plain.X[fold.test, 0]))
        each = [head.predict_proba(plain.X[fold.test, view]) for view in range(3)]
        np.testing.assert_allclose(mean.probabilities(head, fold.test), np.mean(each, axis=0), atol=1e-12)


def test_some_classes_are_taken_and_the_others_counted(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5", classes=("COVID", "NORMAL", "PNEUMONIA"))) as file:
        some = load(file, classes=["NORMAL", "COVID"])
        assert (some.classes, some.file.images, len(some.X)) == (("COVID", "NORMAL"), 80, 80)
        assert some.notes == ("40 of 120 images are of other classes and left out: PNEUMONIA 40.",)
        every = load(file, classes=file.classes)
        assert (every.classes, every.notes) == ((), ()), "all of them are no choice"


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    with (
        FeatureFile(make_features(tmp_path / "f.h5", classes=("COVID",))) as file,
        pytest.raises(InputError, match="for every image, so there are no classes to separate"),
    ):
        load(file)

"""The test of a head: its own scores on its own images, and a kept head that is as was tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.head.data import Data, load
from cxrfeat.head.evaluation import evaluate
from cxrfeat.head.fit import fit_head
from cxrfeat.head.fits import fit_folds
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.metric.operating import choose_thresholds
from cxrfeat.metric.score import scores
from cxrfeat.run.record import to_json
from cxrfeat.spec import HeadSpec
from tests.head.epochs import epochs_of
from tests.workflow.helpers import make_features

LOGREG = HeadSpec(kind="logreg")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with FeatureFile(make_features(tmp_path / "f.h5", distance=1.0)) as file:
        yield load(file)


def test_one_fold_is_scored_on_its_test_images_with_thresholds_of_its_validation_images(data: Data) -> None:
    split = part_images(data.file)
    (fold,), file = split.folds, data.file
    fit = fit_head(LOGREG, data.training(fold))
    found = evaluate(data, LOGREG, split, [fit], seed=0)
    told = data.probabilities(fit.head, fold.test)
    for name, score in scores(file.labels[fold.test], told, file.classes).items():
        assert to_json(found.test)[name] == score, name
    assert found.test.images == len(fold.test)
    assert found.validation is not None
    assert found.validation.images == len(fold.validation)
    held = data.probabilities(fit.head, fold.validation)
    chosen = choose_thresholds(file.labels[fold.validation], held, file.classes, specificity=0.9)
    points = found.test.operating_points
    assert points.chosen_on == "validation"
    assert {
        name: point.at_threshold and point.at_threshold.threshold for name, point in points.classes.items()
    } == chosen
    assert found.validation.operating_points.chosen_on == "these images"
    assert found.rows.tolist() == [*fold.validation.tolist(), *fold.test.tolist()]
    assert found.parts == ("validation",) * len(fold.validation) + ("test",) * len(fold.test)
    assert (found.fit, found.folds, found.seconds) == (fit, None, fit.seconds)


def test_folds_are_pooled_and_the_kept_head_is_fitted_on_all_images(data: Data) -> None:
    split = part_images(data.file, fold_count=3)
    (fits,) = fit_folds(data, [LOGREG], split.folds, jobs=1)
    found = evaluate(data, LOGREG, split, fits, seed=0)
    pooled = np.concatenate(
        [data.probabilities(fit.head, fold.test) for fit, fold in zip(fits, split.folds, strict=True)]
    )
    np.testing.assert_array_equal(found.probabilities, pooled)
    assert found.test.accuracy == (pooled.argmax(1) == data.file.labels[split.tested]).mean()
    assert found.folds is not None
    assert [one.name for one in found.folds] == ["fold 0", "fold 1", "fold 2"]
    assert [one.images for one in found.folds] == [len(fold.test) for fold in split.folds]
    assert found.validation is None
    whole = fit_head(LOGREG, data.training(split.folds[0].everything(data.file.images)))
    assert found.fit.head.to_npz() == whole.head.to_npz()
    assert found.notes[-1] == "The kept head was fitted on all images and is not itself tested."


def test_of_folds_the_temperature_is_that_of_the_decisions_out_of_fold(data: Data) -> None:
    spec = HeadSpec(kind="ridge")
    split = part_images(data.file, fold_count=3)
    (fits,) = fit_folds(data, [spec], split.folds, jobs=1)
    found = evaluate(data, spec, split, fits, seed=0)
    decisions = [fit.head.decision(data.plain[fold.test]) for fit, fold in zip(fits, split.folds, strict=True)]
    expected = fit_temperature(np.concatenate(decisions), data.file.labels[split.tested])
    assert found.fit.head.temperature == expected
    assert not any("not calibrated" in note for note in found.notes)


def test_what_there_is_to_say_of_the_kept_head_is_told_whether_or_not_it_is_calibrated(data: Data) -> None:
    split = part_images(data.file, fold_count=3)
    for calibrate in (False, True):
        spec = HeadSpec(kind="knn", neighbours=10_000, calibrate=calibrate)
        (fits,) = fit_folds(data, [spec], split.folds, jobs=1)
        found = evaluate(data, spec, split, fits, seed=0)
        rows = data.file.images * data.file.views
        assert any(f"there are {rows} training rows" in note for note in found.notes), calibrate
        assert not any("not calibrated" in note for note in found.notes), calibrate


def test_where_folds_stop_early_the_kept_head_takes_the_median_of_their_epochs(data: Data) -> None:
    spec = HeadSpec(kind="softmax", epochs=12, learning_rate=0.3, patience=1)
    split = part_images(data.file, fold_count=3)
    (fits,) = fit_folds(data, [spec], split.folds, jobs=1)
    kept = [next(row["epoch"] for row in epochs_of(fit) if row["kept"]) for fit in fits]
    assert len(epochs_of(evaluate(data, spec, split, fits, seed=0).fit)) == int(np.median(kept))

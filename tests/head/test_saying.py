from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.prediction import FindingsPrediction, NumberPrediction, Prediction
from cxrfeat.head.saying import saying_of
from cxrfeat.workflow.findings import fit_findings
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.regression import fit_number
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 2, 6)).astype(np.float32)
    mass = (X[:, 0, 0] > 0).astype(int).tolist()
    ages = [float(one) for one in 50 + 10 * X[:, 0, 1]]
    return make_features(
        tmp_path_factory.mktemp("saying") / "f.h5", groups=60, views=2, features=X, ages=ages, findings={"Mass": mass}
    )


def test_each_kind_of_run_says_what_it_said_in_its_test(file: Path) -> None:
    runs = file.parent / "runs"
    with FeatureFile(file) as opened:
        X, place = opened.read(), {one: row for row, one in enumerate(opened.content_sha256)}
    (number,) = fit_number(file, "age", runs=runs).runs
    (findings,) = fit_findings(file, "knn", runs=runs).runs
    for run in (number, findings):
        said = run.predictions()
        rows = [place[one] for one in said.contents]
        saying = saying_of(run)
        told, outputs = saying.say(said.image_ids, X[rows])
        assert [one.image for one in told] == list(said.image_ids)
        assert outputs.shape == (len(rows), saying.outputs)
        assert ((outputs >= 0) & (outputs <= 1)).all()
        assert saying.dim == 6
        for one, expected in zip(told, said.predicted[:, 0], strict=True):
            if isinstance(one, NumberPrediction):
                assert one.value == pytest.approx(expected)
            else:
                assert isinstance(one, FindingsPrediction)
                assert one.probabilities["Mass"] == pytest.approx(expected)
    assert (saying_of(number).votes, saying_of(findings).votes) == (False, True)
    (classes,) = fit(file, "logreg", runs=runs).runs
    (one,), _ = saying_of(classes).say(["a"], X[:1])
    assert isinstance(one, Prediction)


def test_sets_and_thresholds_are_of_classes(file: Path) -> None:
    (run,) = fit_number(file, "age", runs=file.parent / "runs").runs
    with pytest.raises(UsageError, match=r"`coverage` is for runs of classes, and .* predicts age"):
        saying_of(run, coverage=0.9)
    with pytest.raises(UsageError, match="`threshold` is for runs of classes"):
        saying_of(run, threshold="sensitivity-0.9")

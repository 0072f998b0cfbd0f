from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cxrfeat.errors import SpecError
from cxrfeat.head.fit import CALIBRATED, fit_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.spec import HEAD_KINDS, HeadKind, HeadSpec
from tests.head.blobs import NAMES, blobs, fitted


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_every_head_learns_blobs_that_separate(kind: HeadKind) -> None:
    data = blobs(distance=4.0)
    found = fitted(kind, data, epochs=12)
    assert (found.head.predict(data[2]) == data[3]).mean() > 0.95
    np.testing.assert_allclose(found.head.predict_proba(data[2]).sum(1), 1.0)
    assert found.head.predict_proba(data[2]).argmax(1).tolist() == found.head.predict(data[2]).tolist()
    assert found.seconds > 0


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_one_seed_gives_one_head(kind: HeadKind) -> None:
    first, again = (fitted(kind, epochs=2, seed=5) for _ in range(2))
    assert first.history == again.history
    assert first.head.record() == again.head.record()
    assert first.head.to_npz() == again.head.to_npz()


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_constant_feature_does_no_harm(kind: HeadKind) -> None:
    X, y, X_val, y_val = blobs(distance=4.0)
    for array in (X, X_val):
        array[..., 3] = 0.1
    found = fit_head(HeadSpec(kind=kind, epochs=2, standardize=True), TrainingSet(X, y, X_val, y_val, NAMES[:3]))
    assert found.head.arrays["scale"][3] == 1.0
    assert np.isfinite(found.head.predict_proba(X_val)).all()


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_head_can_be_fitted_without_validation_images(kind: HeadKind) -> None:
    X, y, X_val, y_val = blobs()
    found = fit_head(HeadSpec(kind=kind, epochs=1), TrainingSet(X, y, X_val[:0], y_val[:0], NAMES[:3]))
    assert found.head.temperature == 1.0
    if found.history:
        assert found.history.epochs[0].val_loss is None
    assert any("not calibrated" in note for note in found.notes) == (kind in CALIBRATED)


def test_heads_never_import_keras() -> None:
    program = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from tests.head.blobs import fitted\n"
        f"for kind in {HEAD_KINDS}: fitted(kind)\n"
        "print(*{'tensorflow', 'keras', 'jax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_every_head_can_be_calibrated(kind: HeadKind) -> None:
    data = blobs(distance=0.8)
    plain, calibrated = (fitted(kind, data, epochs=2, calibrate=wanted).head for wanted in (False, True))
    assert calibrated.temperature == fit_temperature(plain.decision(data[2]), data[3])
    assert (plain.temperature == calibrated.temperature) == (kind in CALIBRATED)


def test_importing_heads_and_metrics_is_light() -> None:
    program = (
        "import sys, cxrfeat.head.fit, cxrfeat.metric.compare, cxrfeat.metric.interval\n"
        "print(*{'tensorflow', 'keras', 'sklearn', 'sklearnex', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_more_views_per_epoch_than_there_are_is_refused() -> None:
    with pytest.raises(SpecError, match=r"3 views per image and epoch.*there are 2.*`views_per_epoch=2`"):
        fitted("softmax", views_per_epoch=3)

"""Fits come head by head, each as soon as it is fitted on every fold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.head.data import Data, load
from cxrfeat.head.fit import Fit, fit_head
from cxrfeat.head.fits import fit_folds, fits_as_they_come
from cxrfeat.spec import HeadSpec
from tests.workflow.helpers import make_features

GOOD, BAD = HeadSpec(kind="logreg"), HeadSpec(kind="dense", learning_rate=999.0, epochs=3, standardize=False)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with FeatureFile(make_features(tmp_path / "f.h5")) as file:
        yield load(file)


def test_a_head_that_cannot_be_fitted_comes_once_as_its_error_and_the_others_whole(data: Data) -> None:
    data.X[:] *= 1000  # finite weights, with which validation images go beyond float32
    folds, told = part_images(data.file, fold_count=3).folds, list[tuple[str, int, int]]()
    found = dict(fits_as_they_come(data, [BAD, GOOD], folds, jobs=1, progress=lambda *step: told.append(step)))
    assert isinstance(found[0], InputError)
    assert isinstance(found[1], list)
    assert len(found[1]) == 3
    assert told == [("heads", done, 6) for done in range(1, 7)]
    with pytest.raises(InputError, match="diverged"):
        fit_folds(data, [BAD, GOOD], folds, jobs=1)


def test_fits_are_in_the_order_of_heads_and_folds(data: Data) -> None:
    heads = [GOOD, HeadSpec(kind="ridge")]
    folds = part_images(data.file, fold_count=2).folds
    found = fit_folds(data, heads, folds, jobs=1)
    for spec, fits in zip(heads, found, strict=True):
        for fold, fit in zip(folds, fits, strict=True):
            assert isinstance(fit, Fit)
            alone = fit_head(spec, data.training(fold)).head
            assert (fit.head.kind, fit.head.to_npz()) == (spec.kind, alone.to_npz())

"""A head that says the same to all fails a check of its own, and its run remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.spec import HEAD_KINDS, HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import run_json
from tests.workflow.helpers import make_features

THREE = ("COVID", "NORMAL", "PNEUMONIA")


@pytest.mark.few(1)
@pytest.mark.parametrize("fold_count", [None, 3])
def test_a_head_that_says_the_same_to_all_fails_a_check_of_its_own(fold_count: int | None, tmp_path: Path) -> None:
    """SGD at 0.01 on features that are long: every unit dies, and the output is what the biases say."""
    path = make_features(tmp_path / "f.h5", classes=THREE, groups=15)
    with FeatureFile(path) as file:
        long = 40 * file.read()
    path = make_features(tmp_path / "long.h5", classes=THREE, groups=15, features=long)
    heads = [HeadSpec(kind="dense", standardize=False), HeadSpec(kind="logreg")]
    result = fit(path, heads, runs=tmp_path / "runs", fold_count=fold_count)
    (failed,) = [one for one in result.failed if one.check == "outputs"]
    assert failed.why.startswith("The dense head gives ")
    assert failed.why.endswith("(1 of 2 runs)")
    dense, logreg = result.runs
    assert "outputs" in [one.check for one in dense.failed_checks], "the run remembers"
    assert [one["status"] for one in run_json(logreg)["audit"] if one["check"] == "outputs"] == ["pass"]
    steady = fit(path, [HeadSpec(kind="dense")], runs=tmp_path / "runs", fold_count=fold_count)
    assert [one.status for one in steady.audit if one.check == "outputs"] == ["pass"]
    assert run_json(steady.runs[0])["test"]["accuracy"] > 0.7


def test_features_of_a_dead_network_fail(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", features=np.ones((80, 2, 6), np.float32))
    result = fit(path, [HeadSpec(kind=kind, epochs=2) for kind in HEAD_KINDS], runs=tmp_path / "runs")
    for run in result.runs:
        (failed,) = [one for one in run.failed_checks if one.check == "outputs"]
        assert "their features are the same too" in failed.why

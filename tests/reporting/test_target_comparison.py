from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.metric.regression import paired_number_differences
from cxrfeat.run.folder import TargetRun
from cxrfeat.run.target_document import FindingsDocument, NumberDocument
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.compare import compare
from cxrfeat.workflow.findings import fit_findings
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.regression import fit_number
from tests.workflow.helpers import make_features

IMAGES = 320
HEADS = [HeadSpec(kind="ridge", strength=strength) for strength in (1.0, 1e-4, 1.01)]
"""The second shrinks nearly to the mean; the third is nearly the first."""


def features(folder: Path, *, shift: float = 0.0, seed: int = 5) -> Path:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(IMAGES, 1, 6)).astype(np.float32)
    present = {
        name: (X[:, 0, at] + rng.normal(size=IMAGES) > 0.5).astype(int) for at, name in enumerate(("Mass", "Edema"))
    }
    present["Edema"][rng.random(IMAGES) < 0.2] = -2
    ages = [float(one) for one in 50 + 10 * X[:, 0, 2] + rng.normal(size=IMAGES) * 2 + shift]
    return make_features(
        folder / "f.h5", groups=80, views=1, features=X, ages=ages,
        findings={name: one.tolist() for name, one in present.items()},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    path = features(folder)
    fit_number(path, "age", HEADS, runs=folder / "runs")
    fit_findings(path, ["ridge", HeadSpec(kind="ridge", strength=1e-7)], runs=folder / "runs")
    fit(path, "ridge", runs=folder / "runs")
    return folder


def test_runs_of_a_number_stand_by_their_errors_each_set_against_the_nearest(folder: Path) -> None:
    found = compare(folder=folder / "runs")
    assert len(found.runs) == 1, "the run of classes is apart"
    (age,) = (one for one in found.targets if one.numeric)
    errors = [run.document.test.mae for run in age.runs if isinstance(run.document, NumberDocument)]
    assert len(errors) == 3
    assert errors == sorted(errors)
    tie, worse = sorted(age.differences, key=lambda one: -one["mae"]["difference"])
    assert tie["mae"]["tied"]
    assert not worse["mae"]["tied"]
    assert worse["mae"]["difference"] == pytest.approx(errors[0] - errors[2])
    assert worse["mae"]["p_holm"] == pytest.approx(min(1, 2 * worse["mae"]["p"]))
    said = {run.name: run.predictions() for run in age.runs}
    first, last = said[worse["a"]], said[worse["b"]]
    test = first.tested
    expected = paired_number_differences(
        first.true[test, 0], first.predicted[test, 0], last.predicted[test, 0],
        np.unique([first.groups[row] for row in test], return_inverse=True)[1],
    )  # fmt: skip
    assert worse["rmse"]["difference"] == pytest.approx(expected["rmse"]["difference"])
    assert worse["rmse"]["ci"] == pytest.approx(expected["rmse"]["ci"], rel=0.1)


def test_runs_of_findings_are_set_against_each_other_finding_by_finding(folder: Path) -> None:
    (findings,) = (one for one in compare(folder=folder / "runs").targets if not one.numeric)
    (difference,) = findings.differences
    assert set(difference["findings"]) == {"Mass", "Edema"}
    means = [run.document.mean.auroc for run in findings.runs if isinstance(run.document, FindingsDocument)]
    assert difference["mean"]["difference"] == pytest.approx(means[0] - means[1])
    alone = [one["difference"] for one in difference["findings"].values()]
    assert difference["mean"]["difference"] == pytest.approx(np.mean(alone))
    document = findings.to_dict()
    assert [one["run"] for one in document["macro"]] == [run.name for run in findings.runs]
    assert len(document["runs"]) == 4


def test_other_images_and_other_values_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (ours, _, _) = fit_number(folder / "f.h5", "age", HEADS, runs=folder / "runs").runs
    (shifted,) = fit_number(features(tmp_path, shift=1.0), "age", HEADS[0], runs=runs).runs
    (age,) = compare([ours, shifted]).targets
    assert age.differences[0]["why"] == "not tested with the same values: those of 64 of 64 images differ"
    (reseeded,) = fit_number(folder / "f.h5", "age", HEADS[0], seed=3, runs=runs).runs
    (age,) = compare([ours, reseeded]).targets
    assert age.differences[0]["why"].startswith("not tested on the same images")


def test_subgroups_are_of_classes_and_one_run_is_none_to_compare(folder: Path) -> None:
    (run, *_) = (one for target in compare(folder=folder / "runs").targets for one in target.runs)
    assert isinstance(run, TargetRun)
    with pytest.raises(UsageError, match="`by` cuts the test images of runs of classes into subgroups"):
        compare(run, by="sex", folder=folder / "runs")
    with pytest.raises(UsageError, match="at least two different runs, and only"):
        compare([run, run.name], folder=folder / "runs")

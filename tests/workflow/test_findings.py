from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.blobs import blobs, write_blobs
from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.fitted import FittedHead
from cxrfeat.run.folder import find_run, read_any_run
from cxrfeat.run.target_document import FindingsDocument
from cxrfeat.workflow.findings import fit_findings
from tests.workflow.helpers import make_features

IMAGES = 480


def several(path: Path, classes: tuple[str, ...] = ("unlabelled",)) -> Path:
    """Patients of two images; of two findings that are in the features, one that is not, and one that is too rare."""
    rng = np.random.default_rng(11)
    features = rng.normal(size=(IMAGES, 1, 10)).astype(np.float32)
    findings = {}
    for place, (name, gain) in enumerate((("Mass", 2.0), ("Edema", 1.0), ("Noise", 0.0))):
        present = rng.random(IMAGES) < 0.35
        features[:, 0, place] += gain * present
        findings[name] = np.where(rng.random(IMAGES) < 0.1, -2, np.where(rng.random(IMAGES) < 0.1, -1, present))
    findings["Rare"] = np.where(np.arange(IMAGES) < 4, 1, 0)
    findings["Never"] = np.full(IMAGES, -2)
    return make_features(
        path,
        classes=classes,
        groups=IMAGES // 2 // len(classes),
        views=1,
        dim=10,
        features=features,
        findings={name: states.tolist() for name, states in findings.items()},
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return several(tmp_path_factory.mktemp("findings") / "f.h5")


@pytest.mark.parametrize("head", ["ridge", "logreg"])
def test_every_finding_is_scored_and_what_cannot_be_is_said(file: Path, head: str, tmp_path: Path) -> None:
    document = fit_findings(file, head, runs=tmp_path).to_dict()
    assert [(run["target"], run["head"]) for run in document["runs"]] == [
        ("Mass", head), ("Edema", head), ("Noise", head),
    ]  # fmt: skip
    mass, edema, noise = (run["test"] for run in document["runs"])
    assert mass["auroc"] > edema["auroc"] > 0.6
    assert noise["auroc_ci"][0] < 0.5 < noise["auroc_ci"][1]
    assert mass["auroc_ci"][0] > 0.8
    (mean,) = document["macro"]
    assert mean["auroc"] == pytest.approx((mass["auroc"] + edema["auroc"] + noise["auroc"]) / 3)
    why = {one["target"]: one["why"] for one in document["not_scored"]}
    assert set(why) == {"Rare", "Never"}
    assert "it is present in" in why["Rare"]
    assert "not stated" in why["Never"]


def test_one_split_serves_all_and_uncertain_findings_are_what_is_asked(file: Path, tmp_path: Path) -> None:
    with FeatureFile(file) as opened:
        test = opened.split().folds[0].test
        states = opened.findings[:, 0]
    for uncertain, known in (("ignore", states >= 0), ("present", states >= -1), ("absent", states >= -1)):
        asked: Any = uncertain
        (mass, *_) = fit_findings(file, uncertain=asked, runs=tmp_path).to_dict()["runs"]
        assert mass["test"]["images"] == known[test].sum()
        assert mass["unknown"] == (~known).sum()
        present = (states == 1) | ((states == -1) & (uncertain == "present"))
        assert mass["test"]["prevalence"] == pytest.approx(present[test][known[test]].mean())


def test_the_parts_hold_as_much_of_the_commonest_finding(file: Path) -> None:
    with FeatureFile(file) as opened:
        fold = opened.split().folds[0]
        present = opened.findings[:, :3] == 1
        often = int(present.sum(axis=0).argmax())
        shares = [present[rows, often].mean() for rows in (fold.train, fold.test)]
        assert abs(shares[0] - shares[1]) < 0.05
        assert not set(opened.groups[fold.train]) & set(opened.groups[fold.test])


@pytest.mark.few(1)
@pytest.mark.parametrize("head", ["ridge", "knn"])
def test_a_run_of_all_findings_is_kept_and_what_it_holds_says_the_same_again(
    file: Path, head: str, tmp_path: Path
) -> None:
    result = fit_findings(file, head, runs=tmp_path)
    (run,) = result.runs
    again = read_any_run(run.path)
    assert again == run
    document = again.document
    assert isinstance(document, FindingsDocument)
    assert document.names == ("Mass", "Edema", "Noise")
    said = run.predictions()
    with FeatureFile(file) as opened:
        place = {content: row for row, content in enumerate(opened.content_sha256)}
        rows = [place[content] for content in said.contents]
        X, states = opened.read()[rows, 0], opened.findings[rows, :3]
    np.testing.assert_array_equal(np.isnan(said.true), states < 0)
    np.testing.assert_array_equal(said.true[states >= 0], states[states >= 0])
    test = said.tested
    for at, one in enumerate(document.findings):
        fitted = FittedHead.from_npz(run.bytes_of(one.file), one.fitted)
        probability = fitted.predict_proba(X)[:, 1]
        np.testing.assert_allclose(probability, said.predicted[:, at], atol=1e-12)
        present, called = said.true[test, at] == 1, said.predicted[test, at] >= one.test.threshold
        assert one.test.sensitivity == pytest.approx(called[present].mean())
        assert one.test.prevalence == pytest.approx(np.nanmean(said.true[test, at]))
    assert fit_findings(file, head, runs=tmp_path).reused == (True,)
    assert "mean of 3" in run._repr_html_()
    with pytest.raises(InputError, match=r"predicts all findings and not classes.*Fit one of them"):
        find_run(run.name, runs=tmp_path)


def test_features_without_findings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="states no findings"):
        fit_findings(make_features(tmp_path / "f.h5"))
    rare = make_features(tmp_path / "r.h5", findings={"Rare": [1] + [0] * 79})
    with pytest.raises(InputError, match=r"No finding .* can be judged. Rare: in the"):
        fit_findings(rare)


@pytest.mark.slow
def test_a_large_set_is_told_in_a_minute_and_four_gigabytes(tmp_path: Path) -> None:
    """100,000 images, 14 findings, 1,024 features, on 2 cores: start-up, reading and all intervals included."""
    rng = np.random.default_rng(0)
    X, y = blobs(100_000, 1024)
    findings = {}
    for number in range(14):
        present = X[:, 0, 7 * number] + rng.normal(size=len(X)) > 1.2 + 0.1 * number
        findings[f"finding {number}"] = np.where(rng.random(len(X)) < 0.02 * number, -1 - number % 2, present)
    path = write_blobs(tmp_path / "large.h5", X, y, findings)
    words = [sys.executable, "-m", "cxrfeat", "fit-head", str(path), "--target", "findings", "--json", "--quiet"]
    words += ["--runs", str(tmp_path / "runs")]
    start = time.perf_counter()
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    document = json.loads(said.stdout)
    assert len(document["runs"]) == 14
    assert all(run["test"]["auroc_ci"] and run["test"]["sensitivity_ci"] for run in document["runs"])
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    assert seconds < 60, f"{seconds:.0f} s"
    assert gigabytes < 4, f"{gigabytes:.1f} GB"

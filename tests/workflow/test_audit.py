"""The whole audit on phantoms, whose shortcuts are planted, and on real images, whose shortcuts are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.auditing.result import AuditResult
from cxrfeat.auditing.whole import MODEL
from cxrfeat.errors import InputError, SplitError
from cxrfeat.types import Status
from cxrfeat.workflow.audit import audit
from cxrfeat.workflow.extract import extract
from tests.auditing.shortcuts import cached, phantoms, statuses


def test_a_letter_tied_to_the_class_fails(tied_audit: AuditResult) -> None:
    found = statuses(tied_audit)
    assert found["letters"] is Status.FAIL
    assert found["border only"] is not Status.PASS
    assert found["lungs out"] is not Status.PASS
    assert tied_audit.findings[0].status is Status.FAIL, "failed ones come first"


def test_what_cannot_be_audited_is_said(tmp_path: Path) -> None:
    data = phantoms(tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=3)
    with pytest.raises(InputError, match=r"`mitigate` .* `cache`"):
        audit(data, mitigate=True)
    with pytest.raises(SplitError, match="at least 2 folds"):
        audit(data, fold_count=1)
    other = phantoms(tmp_path / "other", classes=("COVID", "NORMAL"), patients_per_class=3, seed=9)
    with pytest.raises(InputError, match="made from other data"):
        audit(data, cache=cached(other, tmp_path), fold_count=2)


@pytest.mark.slow
def test_real_images_show_what_is_known_of_them(shared: Path, tmp_path: Path) -> None:
    network = next((shared / "weights").glob("*.keras"))
    made = extract(
        shared / "data" / "cxr299", backbone=str(network), preprocess="tf", views=1, features=tmp_path / "features"
    )
    result = audit(shared / "data" / "cxr299", cache=made.files[0].path, network=network)
    found = statuses(result)
    assert found["source"] is Status.FAIL
    assert result.within_source is not None
    pairs = {pair.classes: pair for pair in result.within_source.pairs}
    assert not pairs["COVID", "NORMAL"].identifiable
    assert not pairs["COVID", "PNEUMONIA"].identifiable
    interval = pairs["NORMAL", "PNEUMONIA"].auroc_ci
    assert interval is not None
    assert interval[0] > 0.85
    (labels,) = [finding for finding in result.findings if finding.check == "labels"]
    assert labels.value == 18
    assert 0.70 < result.controls["thumbnail"]["accuracy"] < 0.80
    assert 0.82 < result.controls[MODEL]["accuracy"] < 0.88

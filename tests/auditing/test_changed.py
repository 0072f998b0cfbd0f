from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cxrfeat.auditing import changed
from cxrfeat.auditing.changed import CONTROL_VIEWS, MITIGATIONS
from cxrfeat.auditing.result import AuditResult
from cxrfeat.types import Finding, Status
from cxrfeat.workflow.audit import audit
from cxrfeat.workflow.extract import extract
from tests.auditing.shortcuts import Grid, phantoms
from tests.image.encode import encode


def test_the_crop_cures_it(tied_audit: AuditResult) -> None:
    ways = {one.name: one for one in tied_audit.mitigations}
    assert list(ways) == list(MITIGATIONS)
    assert ways["none"].ratio_ci is not None
    assert ways["none"].ratio_ci[0] > 0.5
    for name in ("crop", "darken", "letters", "lungs"):
        control = ways[name].control
        assert control is not None
        assert control < 0.6, f"without lungs, {name} leaves nothing to tell the class by"
    assert ways["none"].auroc is not None
    assert ways["crop"].auroc is not None
    assert ways["crop"].auroc < ways["none"].auroc, "the score that the letter gave is gone"


def test_one_bad_mask_is_named_and_a_template_stands_in(tmp_path: Path) -> None:
    data = phantoms(
        tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=12, images_per_patient=1, size=64
    )
    made = extract(data, backbone="vgg16", weights="random", views=1, size=48, features=tmp_path, make_engine=Grid)
    bad, oblong, empty = sorted((data / "COVID" / "masks").iterdir())[:3]
    Image.open(bad).point(lambda _: 0).save(bad)

    def found() -> tuple[AuditResult, Finding]:
        result = audit(data, cache=made.files[0].path, mitigate=True, fold_count=3, make_engine=Grid)
        return result, next(one for one in result.findings if one.check == "masks")

    result, masks = found()
    assert masks.status is Status.WARN
    assert masks.why == (
        "1 of 24 lung masks cannot be used (1 x blank: it has one value all over); a template stands in."
    )
    assert [Path(path).stem for path in masks.images] == [bad.stem]
    assert {one.name for one in result.mitigations} == set(MITIGATIONS), "the lungs of one in 24 cost no row"
    oblong.write_bytes(encode(np.zeros((40, 90), np.uint8), "PNG"))
    empty.write_bytes(b"")
    result, masks = found()
    assert masks.value == 3
    assert {one.name for one in result.mitigations} == set(MITIGATIONS) - {"lungs"}, "those of three in 24 do"
    assert set(result.controls) >= set(CONTROL_VIEWS)


def test_what_takes_the_lungs_out_of_a_way_leaves_the_way_as_it_is() -> None:
    """Where lungs alone are left, they cannot be taken out: the border is kept."""
    assert changed._control_of({"border_crop": 0.12}) == {"border_crop": 0.12, "mask": "outside"}
    assert changed._control_of({"mask": "lungs"}) == {"mask": "lungs", "border_only": changed.BORDER}
    assert changed._control_of({}) == CONTROL_VIEWS["lungs out"]

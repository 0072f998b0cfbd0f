"""What stands beside a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.reporting.card_files import card_for, kept_told, read_told, write_beside
from cxrfeat.run.record import to_json
from cxrfeat.run.validation import Recalibrated
from cxrfeat.run.validation_file import write_validation
from tests.reporting.cards import fitted
from tests.run.validations import some


def test_validations_that_the_run_keeps_are_in_its_card_and_checklists(tmp_path: Path) -> None:
    run, _ = fitted(tmp_path)
    told = some(run)
    mended = Recalibrated(
        share=0.3, images=12, groups=9, slope=0.8, shifts=dict.fromkeys(run.document.classes, 0.0),
        before=told.calibration, after=replace(told.calibration, ece=0.05),
    )  # fmt: skip
    write_validation(run, replace(told, recalibrated=mended))
    (kept,) = kept_told(run)
    assert kept["data"] == "else where"
    model = tmp_path / "m.onnx"
    model.write_bytes(b"a model")
    card = card_for(run, model, "onnx", tmp_path / "features", [kept], [])
    page, as_json, claim, tripod = (path.read_text() for path in write_beside(model, card, run.document.features.spec))
    assert "| else where |" in page
    assert "0.500 [0.250, 0.750]" in page, "how many are unlike its training images"
    for text in (page, tripod):
        assert "calibration error of the others 0.100" in text
        assert "0.050" in text
    assert "Tested on else where" in claim
    assert "seen" not in json.loads(as_json)["validations"][0]


def test_documents_are_read_one_or_many_without_their_paths(tmp_path: Path) -> None:
    run, _ = fitted(tmp_path)
    document = {"run": "one", "data": "/home/me/outside", **to_json(some(run))}
    place = tmp_path / "told.json"
    place.write_text(json.dumps(document))
    assert [one["data"] for one in read_told(place)] == ["outside"]
    place.write_text(json.dumps({"run": "one", "validations": [document, document]}))
    assert len(read_told(place)) == 2
    assert "/home" not in json.dumps(read_told(place))
    for wrong in ("{", "[]", '{"external": 1}'):
        place.write_text(wrong)
        with pytest.raises(InputError, match="is no"):
            read_told(place)

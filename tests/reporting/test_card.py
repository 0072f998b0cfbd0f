"""Model cards as data."""

from __future__ import annotations

import json
from pathlib import Path

from cxrfeat.reporting.card import card_of, code_of, steps_of
from cxrfeat.spec import FeatureSpec, ViewSpec
from tests.reporting.cards import MODEL, card_with_everything, fitted


def test_a_card_counts_the_images_by_part_class_and_source(tmp_path: Path) -> None:
    card = card_with_everything(tmp_path)
    json.dumps(card, allow_nan=False)
    data = card["data"]
    assert data["images"] == 80
    assert sum(one["images"] for one in data["counts"]) == 80
    assert {one["part"] for one in data["counts"]} == {"train", "validation", "test"}
    assert data["classes"] == {"COVID": 40, "NORMAL": 40}
    assert data["columns"]["date"] == 80
    assert card["hashes"]["model"] == MODEL["sha256"]
    assert card["subgroups"]
    assert card["validations"]


def test_without_features_it_says_what_it_knows(tmp_path: Path) -> None:
    run, _ = fitted(tmp_path)
    data = card_of(run, MODEL)["data"]
    assert data["known"] == "test part only"
    assert sum(data["classes"].values()) == data["images"] == run.document.test.images


def test_what_is_done_to_an_image_is_said_and_shown(tmp_path: Path) -> None:
    view = ViewSpec(size=64, border_crop=0.1, border_darken=0.05)
    spec = FeatureSpec(backbone="file", weights="sha256:0", preprocess="tf", view=view)
    assert len(steps_of(spec)) == 5
    code = code_of(spec, "model.onnx")
    compile(code, "card", "exec")
    for said in ("grey.crop", "Image.new", "(64, 64)", "'model.onnx'"):
        assert said in code
    assert "keras.saving.load_model('m.keras')" in code_of(spec, "m.keras")

"""Tables described as Croissant."""

from __future__ import annotations

import json
from pathlib import Path

from cxrfeat.feature.croissant import croissant_of
from cxrfeat.feature.file import FeatureFile
from tests.workflow.helpers import make_features


def test_every_column_is_a_field_of_the_table(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "set.h5", groups=2)) as file:
        told = croissant_of(
            file, "set.parquet", "ab" * 32, ["view", "image_id", "age", "f0"], {"image_id": "str", "age": "float64"}
        )
    assert json.loads(json.dumps(told)) == told
    assert told["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert told["distribution"][0]["sha256"] == "ab" * 32
    kinds = {one["name"]: one["dataType"] for one in told["recordSet"][0]["field"]}
    assert kinds == {"view": "sc:Integer", "image_id": "sc:Text", "age": "sc:Float", "f0": "sc:Float"}
    assert "never diagnosis" in told["description"]

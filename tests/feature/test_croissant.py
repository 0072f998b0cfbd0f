"""Tables described as Croissant."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cxrfeat.feature.croissant import croissant_of
from cxrfeat.feature.exported import write_table
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


def test_columns_that_are_called_anything_have_ids_without_spaces_each_its_own(tmp_path: Path) -> None:
    columns = ["view", "image_id", "finding No Finding", "finding No_Finding", "kept a/b, \u00e9", "kept 3", "f0"]
    with FeatureFile(make_features(tmp_path / "set.h5", groups=2)) as file:
        told = croissant_of(file, "set.parquet", "ab" * 32, columns, dict.fromkeys(columns[1:-1], "str"))
    fields = told["recordSet"][0]["field"]
    ids = [one["@id"] for one in fields]
    assert len({*ids}) == len(ids)
    assert all(re.fullmatch(r"rows/[A-Za-z0-9_]+", one) for one in ids)
    assert [one["source"]["extract"]["column"] for one in fields] == columns


@pytest.mark.slow  # it loads the reader, which is in no extra
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own
def test_the_reader_of_those_who_made_the_format_finds_no_error_and_the_values(tmp_path: Path) -> None:
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant, the reader of Croissant, is not installed")
    pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    stated = {"No Finding": [1, 0] * 4, "Pleural Effusion": [0, -1] * 4}
    path = make_features(tmp_path / "set.h5", groups=2, views=2, findings=stated, kept={"a/b, \u00e9": ["x", None] * 4})
    with FeatureFile(path) as file:
        (beside,) = write_table(file, tmp_path / "set.parquet", "parquet")
        told = croissant.Dataset(jsonld=str(beside))
        assert not told.metadata.ctx.issues.errors
        rows = list(told.records(told.metadata.record_sets[0].uuid))
        assert len(rows) == 2 * file.images
        values = {name.rpartition("/")[2]: value for name, value in rows[0].items()}
        assert values["image_id"] == file.image_ids[0].encode()
        assert values["f0"] == pytest.approx(float(file.features[0, 0, 0]))

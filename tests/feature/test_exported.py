"""Features in the formats of others, read back by their own libraries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.feature.exported import ABOUT, check_form, feature_names, write_table
from cxrfeat.feature.file import FeatureFile
from tests.workflow.helpers import make_features

pandas = pytest.importorskip("pandas", reason="the extra tables is not installed")


@pytest.fixture
def file(tmp_path: Path) -> FeatureFile:
    sexes = ["F", None] * 20
    ages = [40.0, None] * 20
    return FeatureFile(make_features(tmp_path / "set.h5", groups=10, views=3, sexes=sexes, ages=ages, pictures=True))


def test_a_table_has_a_row_for_each_image_and_view(file: FeatureFile, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra tables is not installed")
    place = tmp_path / "set.parquet"
    (beside,) = write_table(file, place, "parquet")
    frame = pandas.read_parquet(place)
    assert len(frame) == file.images * 3
    for view in range(3):
        part = frame[frame["view"] == view]
        assert part["image_id"].tolist() == file.image_ids
        assert np.array_equal(part[feature_names(file.dim)].to_numpy(), file.features[:, view])
    assert part["label"].tolist() == [file.classes[label] for label in file.labels]
    assert part["sex"].isna().sum() == part["age"].isna().sum() == 20
    told = json.loads(parquet.read_schema(place).metadata[ABOUT.encode()])
    assert told["fingerprint"] == file.fingerprint
    described = json.loads(beside.read_text())
    fields = described["recordSet"][0]["field"]
    assert [one["name"] for one in fields] == frame.columns.tolist()
    assert {one["dataType"] for one in fields} == {"sc:Text", "sc:Boolean", "sc:Float", "sc:Integer"}


def test_arrays_hold_numbers_and_texts_and_nothing_that_runs(file: FeatureFile, tmp_path: Path) -> None:
    assert write_table(file, tmp_path / "set.npz", "npz") == ()
    with np.load(tmp_path / "set.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["features"], file.read())
        assert arrays["image_id"].tolist() == file.image_ids
        assert arrays["sex"].tolist() == ["F", ""] * 20
        assert np.isnan(arrays["age"]).sum() == 20
        assert json.loads(str(arrays[ABOUT]))["classes"] == list(file.classes)


@pytest.mark.slow  # 2 s to import
def test_an_annotated_matrix_has_a_row_for_each_image(file: FeatureFile, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata", reason="the extra anndata is not installed")
    write_table(file, tmp_path / "set.h5ad", "anndata", pictures=True)
    made = anndata.read_h5ad(tmp_path / "set.h5ad")
    assert np.array_equal(made.X, file.features[:, 0])
    assert np.array_equal(made.obsm["view_2"], file.features[:, 2])
    assert made.obs_names.tolist() == file.image_ids
    assert made.obs["sex"].isna().sum() == 20


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_pictures_stay_behind_unless_they_are_asked_for(form: str, file: FeatureFile, tmp_path: Path) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    picture = file.content.columns["portrait"][0].tobytes()
    for pictures in (False, True):
        place = tmp_path / f"{pictures}.{form}"
        write_table(file, place, form, pictures=pictures)  # type: ignore[arg-type]  # one of them
        if form == "npz":
            with np.load(place) as arrays:
                held = "portrait" in arrays and arrays["portrait"][0].tobytes() == picture
        else:
            held = "portrait" in (frame := pandas.read_parquet(place)) and frame["portrait"][0] == picture
        assert held == pictures


def test_a_form_that_there_is_not_or_that_lacks_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="parquet, anndata, npz; got 'csv'"):
        check_form("csv")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cxrfeat\[anndata\]"):
        check_form("anndata")

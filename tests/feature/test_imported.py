"""Tables of features as feature files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.exported import write_table
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.imported import read_table
from cxrfeat.image.identity import Identity
from tests.workflow.helpers import make_features

pandas = pytest.importorskip("pandas", reason="the extra tables is not installed")
IDENTITY = Identity(bytes(range(32)))


def read(path: Path, **titles: str) -> Any:
    return read_table(path, IDENTITY, titles=titles)


def frame(images: int = 6) -> Any:
    rng = np.random.default_rng(0)
    numbers = {f"feat_{at}": rng.normal(size=images) for at in range(11)}
    told = {
        "id": [f"secret{at}.png" for at in range(images)],
        "label": ["A", "B"] * (images // 2),
        "patient_id": [f"p{at // 2}" for at in range(images)],
        "age": [40.0] * images,
        "note": ["x"] * images,
    }
    return pandas.DataFrame({**told, **numbers})


@pytest.mark.parametrize("form", ["parquet", "npz"])
@pytest.mark.parametrize("pictures", [False, True])
def test_what_was_exported_is_what_it_was(form: str, pictures: bool, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    path = make_features(
        tmp_path / "set.h5", groups=4, sexes=["F", None] * 8, ages=[40.0, None] * 8, pictures=True,
        findings={"Edema": [1, 0, -1, -2] * 4}, kept={"ward": ["x", None] * 8, "weight": [1.5, None] * 8},
    )  # fmt: skip
    with FeatureFile(path) as file:
        write_table(file, tmp_path / f"t.{form}", form, pictures=pictures)  # type: ignore[arg-type]  # one of them
        made = read(tmp_path / f"t.{form}")
        assert np.array_equal(made.features, file.read())
        assert made.not_read == ()
        assert (made.content.fingerprint, made.content.data_sha256) == (file.fingerprint, file.content.data_sha256)
        ours = {"pixel_digest", "view_params", "container/jpeg_tables"} | (
            set() if pictures else {"thumbnail", "portrait"}
        )
        for name, column in file.content.columns.items():
            if name not in ours:
                assert np.array_equal(made.content.columns[name], column, equal_nan=column.dtype.kind == "f"), name
        assert made.content.columns["portrait"].any() == pictures
        assert made.content.names == file.content.names


def test_features_from_elsewhere_go_by_salted_ids(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "deep net.csv", index=False)
    made = read(tmp_path / "deep net.csv")
    assert made.features.shape == (6, 1, 11)
    assert np.allclose(made.features[:, 0, 10], frame()["feat_10"], atol=1e-6)
    assert made.not_read == ("note",)
    content = made.content
    assert (content.classes, content.dataset, content.engine) == (("A", "B"), "deep_net", "elsewhere")
    assert len({*content.columns["group"].tolist()}) == 3
    assert content.columns["known_patient"].all()
    assert content.columns["image_id"][0].decode() == IDENTITY.image_id("secret0.png")
    assert b"secret" not in b"".join(content.columns["image_id"].tolist() + content.columns["content_sha256"].tolist())


def test_views_are_rows_of_their_own(tmp_path: Path) -> None:
    both = pandas.concat([frame().assign(view=1), frame().assign(view=0)])
    both.to_csv(tmp_path / "t.csv", index=False)
    assert read(tmp_path / "t.csv").features.shape == (6, 2, 11)
    both.iloc[1:].to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match="not the same views"):
        read(tmp_path / "t.csv")


def test_columns_are_found_by_the_titles_that_one_gives(tmp_path: Path) -> None:
    frame().rename(columns={"id": "key", "label": "finding"}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match="no column of ids of images"):
        read(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv", image_id="key", label="finding").content.classes == ("A", "B")
    with pytest.raises(InputError, match="no column 'nothing'"):
        read(tmp_path / "t.csv", image_id="nothing", label="finding")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.assign(label=[None] * 6), "rows without a label"),
        (lambda one: one.assign(id=["same"] * 6), "with the same one"),
        (lambda one: one.assign(feat_0=[np.nan] * 6), "not numbers"),
        (lambda one: one[["id", "label"]], "no columns of features"),
        (lambda one: one.assign(split=["outer"] * 6), "parts of a split"),
    ],
    ids=["labels", "ids", "nan", "features", "split"],
)
def test_what_no_feature_file_can_hold_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    change(frame()).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=said):
        read(tmp_path / "t.csv")


def test_rubbish_and_pickles_are_refused(tmp_path: Path) -> None:
    for name in ("t.parquet", "t.npz", "t.csv"):
        (tmp_path / name).write_bytes(b"\x00\xffrubbish")
        with pytest.raises(InputError):
            read(tmp_path / name)
    np.savez(tmp_path / "t.npz", features=np.zeros((2, 3)), image_id=np.array([{}, {}], dtype=object))
    with pytest.raises(InputError, match="cannot be read as arrays"):
        read(tmp_path / "t.npz")

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import StorageError
from cxrfeat.explaining.explained import Explained
from cxrfeat.run.folder import Run
from cxrfeat.workflow.explain import explain
from tests.explaining.chests import image_of, runs_of
from tests.run.reading import cells


def test_pictures_are_written_at_the_images_own_size_with_one_document(
    explained: Explained, explained_out: Path
) -> None:
    document = json.loads((explained_out / "explain.json").read_text())
    assert document == json.loads(json.dumps(explained.to_dict()))
    assert len(explained.images) == len(document["images"]) == 5
    for one in document["images"]:
        with Image.open(explained_out / one["overlay"]) as picture:
            assert one["width"] < picture.width < max(one["width"] + 60, 241)
            assert one["height"] < picture.height < one["height"] + 80
        assert np.array(one["heat"]).shape == (4, 4)
        assert np.array(one["heat"]).max() in (0.0, 1.0)
        assert 0 <= one["in_border"] <= 1
        assert one["lungs_by"] == "mask"
        assert one["true"] in ("COVID", "NORMAL")
    names = {path.name for path in explained_out.iterdir()}
    assert {"mean-01-COVID.png", "mean-02-NORMAL.png"} <= names
    assert {path for path in names if path.startswith("typical-")}
    assert not [name for name in names if name.startswith(".cxrfeat")]


@pytest.mark.slow
def test_names_can_be_salted(chests: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(chests, tiny_network, tmp_path, "ridge")[0]
    found = explain(run, data=chests, count=3, out=tmp_path / "out", redact=True)
    ids = dict(zip(cells(run, "predictions.csv")["image_id"], cells(run, "predictions.csv")["label"], strict=True))
    for one in found.images:
        assert ids[one.image] == one.true
    files = " ".join(path.name for path in (tmp_path / "out").iterdir())
    said = (tmp_path / "out" / "explain.json").read_text() + files
    assert "images/" not in said
    assert "-p0" not in said


@pytest.mark.slow
def test_classes_whose_names_clean_to_the_same_have_files_of_their_own(
    chests: Path, tiny_network: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    for given, name in (("COVID", "肺炎"), ("NORMAL", "正常")):
        shutil.copytree(chests / given / "images", other / name / "images")
    run = runs_of(other, tiny_network, tmp_path, "ridge")[0]
    found = explain(run, data=other, count=2, out=tmp_path / "out")
    pictures = {mean.written for mean in found.means.values()}
    assert len(pictures) == len(found.means) == 2
    assert len(list((tmp_path / "out").glob("typical-*.png"))) == sum(bool(some) for some in found.typical.values())


@pytest.mark.slow
def test_pictures_of_an_earlier_call_do_not_stay(chest_run: Run, chests: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    explain(chest_run, data=chests, count=4, out=out)
    (out / "003-mine.png").write_bytes(b"mine")
    document = explain(chest_run, [image_of(chests)], out=out).to_dict()
    (overlay,) = (one["overlay"] for one in document["images"])
    assert sorted(path.name for path in out.iterdir()) == sorted(["003-mine.png", overlay, "explain.json"])


@pytest.mark.slow
def test_a_picture_that_cannot_be_removed_is_named(
    chest_run: Run, chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    explain(chest_run, data=chests, count=2, out=out)
    unlink = os.unlink

    def refuse(path: Path) -> None:
        if Path(path).suffix == ".png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StorageError, match=r"Cannot delete .*\.png: Permission denied"):
        explain(chest_run, [image_of(chests)], out=out)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "earlier",
    [
        '{"images": [{"overlay": "../001-a.png"}, {"overlay": "notes.png"}], "classes": {}}',
        '{"images": [{"overlay": 3}], "classes": {"A": {"picture": ["x"]}}}',
        "[]",
        "broken",
        '"\\ud800"',
    ],
)
def test_nothing_else_is_ever_removed(earlier: str, chest_run: Run, chests: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    others = [tmp_path / "001-a.png", out / "notes.png", out / "mean-01-A.png"]
    for path in others:
        path.write_bytes(b"mine")
    (out / "explain.json").write_text(earlier)
    explain(chest_run, [image_of(chests)], out=out)
    assert all(path.read_bytes() == b"mine" for path in others)

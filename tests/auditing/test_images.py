from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from cxrfeat.types import Status
from cxrfeat.workflow.audit import audit
from tests.auditing.shortcuts import Grid, cached, patient, phantoms, rewrite, small, statuses


def test_copies_join_folds_and_are_told(tmp_path: Path) -> None:
    data = phantoms(tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=16, images_per_patient=1)
    (data / "metadata.csv").unlink()
    images = sorted((data / "COVID" / "images").iterdir())
    shutil.copy(images[0], data / "COVID" / "images" / "copy.png")
    with Image.open(images[2]) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(data / "NORMAL" / "images" / "mirrored.png")
    result = audit(data)
    assert {images[0].name, "copy.png"} in [{Path(row.path).name for row in (c.one, c.other)} for c in result.copies]
    (copies,) = [finding for finding in result.findings if finding.check == "copies"]
    assert copies.status is Status.FAIL
    assert copies.value == 1
    assert {Path(path).name for path in copies.images} == {images[2].name, "mirrored.png"}


def test_a_class_of_few_patients_hides_nothing(tmp_path: Path) -> None:
    data = small(tmp_path / "data", source_by_class=True)
    rewrite(data, lambda _, row: None if row["label"] == "PNEUMONIA" and patient(row) > 4 else row)
    result = audit(data)
    (controls,) = (one for one in result.findings if one.check == "controls")
    assert "tested among COVID and NORMAL alone" in controls.why
    assert "4 of PNEUMONIA" in controls.why
    assert result.controls["container"]["judged"] == ["COVID", "NORMAL"]
    assert {statuses(result)[name] for name in ("source", "container")} == {Status.FAIL}
    rewrite(data, lambda _, row: None if row["label"] == "NORMAL" and patient(row) > 3 else row)
    result = audit(data)
    (controls,) = (one for one in result.findings if one.check == "controls")
    assert "could not be tested" in controls.why
    assert "3 of NORMAL and 4 of PNEUMONIA" in controls.why
    assert result.controls == {}
    assert {"source", "copies", "blank", "letters", "patients", "labels", "children"} <= set(statuses(result))
    assert statuses(result)["source"] is Status.FAIL


def test_more_folds_than_patients_are_a_finding_and_no_end(tmp_path: Path) -> None:
    result = audit(small(tmp_path / "data", classes=("COVID", "NORMAL")), fold_count=11)
    (controls,) = (one for one in result.findings if one.check == "controls")
    assert "it takes 11 patients" in controls.why
    assert controls.do.endswith("`fold_count=10`.")


@pytest.mark.slow
def test_an_image_that_the_feature_file_lacks_is_not_left_out_in_silence(tmp_path: Path) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    kept = cached(data, tmp_path)
    image = next((data / "COVID" / "images").iterdir())
    with Image.open(image) as opened:
        opened.rotate(90).save(image)
    result = audit(data, cache=kept, make_engine=Grid, fold_count=2)
    (found,) = (one for one in result.findings if one.check == "feature file")
    assert found.status is Status.WARN
    assert found.images == (image.relative_to(data).as_posix(),)
    assert result.images == 19

"""The whole audit on phantoms, whose shortcuts are planted, and on real images, whose shortcuts are known."""

from __future__ import annotations

import csv
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.auditing.changed import CONTROL_VIEWS, MITIGATIONS
from cxrfeat.auditing.result import AuditResult
from cxrfeat.auditing.whole import MODEL, remedy
from cxrfeat.backbone.network import Network
from cxrfeat.cli.words import as_typed
from cxrfeat.errors import InputError, SplitError
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Finding, Status, Views
from cxrfeat.workflow.audit import audit
from cxrfeat.workflow.extract import extract
from tests.image.encode import encode


class Grid:
    """A network that sees how bright each cell of a grid is, and whether something stands out: lesions, letters."""

    name, cells = "grid", 6
    dim = 2 * cells**2

    def __init__(self, network: Network, spec: FeatureSpec, batch: int = 16, threads: int = 1) -> None:
        self.batch = batch

    def run(self, views: Views) -> Features:
        side = views.shape[1] // self.cells
        inside = views[:, : self.cells * side, : self.cells * side].astype(np.float32)
        grid = inside.reshape(len(views), self.cells, side, self.cells, side)
        mean, most = (found.reshape(len(views), -1) for found in (grid.mean(axis=(2, 4)), grid.max(axis=(2, 4))))
        return np.concatenate([mean, most - mean], axis=1)


def phantoms(folder: Path, **fields: Any) -> Path:
    spec = PhantomSpec(**{"patients_per_class": 40, "images_per_patient": 2, "size": 128, **fields})
    write_phantoms(folder, spec)
    return folder


def cached(data: Path, folder: Path) -> Path:
    made = extract(
        data, backbone="vgg16", weights="random", views=1, size=128, features=folder / "features", make_engine=Grid
    )
    return made.files[0].path


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """The border letter on exactly the images of one class."""
    folder = tmp_path_factory.mktemp("tied")
    data = phantoms(folder / "data", letters="class")
    return audit(data, cache=cached(data, folder), mitigate=True, make_engine=Grid)


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """The border letter on half of the images, whatever the class."""
    folder = tmp_path_factory.mktemp("free")
    data = phantoms(folder / "data", letters="random")
    return audit(data, cache=cached(data, folder), make_engine=Grid)


def statuses(result: AuditResult) -> dict[str, Status]:
    return {finding.check: finding.status for finding in result.findings}


def test_a_letter_tied_to_the_class_fails(tied: AuditResult) -> None:
    found = statuses(tied)
    assert found["letters"] is Status.FAIL
    assert found["border only"] is not Status.PASS
    assert found["lungs out"] is not Status.PASS
    assert tied.findings[0].status is Status.FAIL, "failed ones come first"


def test_the_crop_cures_it(tied: AuditResult) -> None:
    ways = {one.name: one for one in tied.mitigations}
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


def test_a_letter_at_random_passes(free: AuditResult) -> None:
    assert free.failed == []
    found = statuses(free)
    assert found["border only"] is Status.PASS
    assert found["source"] is Status.PASS
    assert found["container"] is Status.PASS
    assert {"children", "sex", "age", "view_position"} <= set(found), "the phantoms' metadata are looked at"


def test_the_document_has_every_figure(tied: AuditResult) -> None:
    told = tied.to_dict()
    assert set(told["controls"]) >= {"container", "thumbnail", "histogram", *CONTROL_VIEWS, MODEL}
    for scores in told["controls"].values():
        assert scores["auroc_ci"][0] <= scores["auroc"] <= scores["auroc_ci"][1]
    assert told["controls"][MODEL]["auroc"] > 0.7
    assert told["within_source"]["pairs"][0]["identifiable"]
    assert told["sources"]["cramers_v"] < 0.2


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
    pairs = {tuple(pair["classes"]): pair for pair in (result.within_source or {})["pairs"]}
    assert not pairs["COVID", "NORMAL"]["identifiable"]
    assert not pairs["COVID", "PNEUMONIA"]["identifiable"]
    assert pairs["NORMAL", "PNEUMONIA"]["auroc_ci"][0] > 0.85
    (labels,) = [finding for finding in result.findings if finding.check == "labels"]
    assert labels.value == 18
    assert 0.70 < result.controls["thumbnail"]["accuracy"] < 0.80
    assert 0.82 < result.controls[MODEL]["accuracy"] < 0.88


def small(folder: Path, **fields: Any) -> Path:
    few: dict[str, Any] = {"patients_per_class": 10, "images_per_patient": 1, "size": 64, "letters": "none"}
    return phantoms(folder, **(few | fields))


def rewrite(data: Path, change: Callable[[int, dict[str, str]], dict[str, str] | None]) -> None:
    """Change the rows of the table, by number; `None` takes one away, and its image."""
    table = data / "metadata.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = []
    for number, row in enumerate(rows):
        image = row["image"]
        changed = change(number, row)
        if changed is None:
            (data / image).unlink()
        else:
            kept.append(changed)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)


def patient(row: dict[str, str]) -> int:
    return int(row["image"].rsplit("-", 2)[1][1:])


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


def test_one_empty_cell_in_each_column_changes_no_verdict(tmp_path: Path) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=16, source_by_class=True)
    of = {"COVID": ("F", "9", "AP"), "NORMAL": ("M", "60", "PA")}

    def tell(number: int, row: dict[str, str]) -> dict[str, str]:
        sex, age, position = of[row["label"]]
        part = ("train", "validation", "test")[number % 3]
        return {**row, "sex": sex, "age": age, "view_position": position, "split": part}

    rewrite(data, tell)
    table = (data / "metadata.csv").read_bytes()
    whole = statuses(audit(data))
    assert {whole[name] for name in ("source", "age", "sex", "view_position", "children")} == {Status.FAIL}
    for gone in (0, 31):

        def empty(number: int, row: dict[str, str], gone: int = gone) -> dict[str, str]:
            emptied = dict.fromkeys(("sex", "age", "view_position", "source", "split"), "")
            return row | emptied if number == gone else row

        (data / "metadata.csv").write_bytes(table)
        rewrite(data, empty)
        result = audit(data)
        some = statuses(result)
        assert some["reading"] is Status.FAIL, "an image without a part is lost to the split"
        assert {name: some[name] for name in whole if name != "reading"} == {
            name: status for name, status in whole.items() if name != "reading"
        }
        told = {one.check: one for one in result.findings}
        assert told["unknown sources"].value == 1
        assert told["unknown metadata"].value == 1
        assert result.sources.counts.sum() == 31


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


def test_a_number_of_two_people_is_found(tmp_path: Path) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    rewrite(data, lambda number, row: {**row, "patient_id": str(number % 10), "source": f"S{number // 10}"})
    (found,) = (one for one in audit(data).findings if one.check == "patient numbers")
    assert found.status is Status.WARN
    assert "10 of 10 patient numbers do not seem to be one person: 10 in several sources" in found.why
    assert len(found.images) == 20


def test_copies_of_one_patient_and_across_parts_are_told(tmp_path: Path) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    with (data / "metadata.csv").open(newline="") as file:
        first, second = list(csv.DictReader(file))[:2]
    with Image.open(data / first["image"]) as image:
        image.resize((96, 96)).save(data / second["image"])

    def change(number: int, row: dict[str, str]) -> dict[str, str]:
        return {**row, "patient_id": "p" if number < 2 else row["patient_id"], "split": "test" if number else "train"}

    rewrite(data, change)
    result = audit(data)
    (copy,) = result.copies
    told = copy.to_dict()
    assert {told["image"], told["copy"]} == {first["image"], second["image"]}
    assert (told["kind"], told["same_patient"], told["across_parts"]) == ("near", "yes", "yes")
    assert told["leave_out"] == first["image"], "the one that does not test"
    found = {one.check: one for one in result.findings}
    assert found["copies"].status is Status.WARN
    assert "1 of one patient" in found["copies"].why
    assert found["copies across the split"].status is Status.FAIL


def test_hints_can_be_pasted() -> None:
    data, kept = "my data", "it's/a file.h5"
    hint = as_typed(remedy(data, kept, mitigated=False))
    assert shlex.split(hint[hint.index("cxrfeat") :]) == [
        "cxrfeat", "audit", "my data", "--cache", "it's/a file.h5", "--mitigate"
    ]  # fmt: skip
    hint = as_typed(remedy(data, None, mitigated=False))
    assert shlex.split(hint[hint.index("cxrfeat") :])[:3] == ["cxrfeat", "audit", "my data"]
    assert "mitigate" not in remedy(data, kept, mitigated=True), "that was done"

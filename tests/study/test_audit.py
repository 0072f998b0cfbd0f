"""The whole audit on phantoms, whose shortcuts are planted, and on real images, whose shortcuts are known."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.backbone.network import Network
from cxrfeat.errors import InputError, SplitError
from cxrfeat.image.phantom import PhantomSpec, write_phantoms
from cxrfeat.spec import FeatureSpec
from cxrfeat.study.audit import CONTROL_VIEWS, MITIGATIONS, MODEL, AuditResult, audit
from cxrfeat.study.extract import extract
from cxrfeat.types import Features, Status, Views


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
    assert (images[0].name, "copy.png") in {
        tuple(sorted((Path(a).name, Path(b).name), reverse=True)) for a, b in result.duplicates
    } | {tuple(sorted((Path(a).name, Path(b).name))) for a, b in result.duplicates}
    (copies,) = [finding for finding in result.findings if finding.check == "copies"]
    assert copies.status is Status.FAIL
    assert copies.value == 1
    assert {Path(path).name for path in copies.images} == {images[2].name, "mirrored.png"}


def test_what_cannot_be_audited_is_said(tmp_path: Path) -> None:
    data = phantoms(tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=3)
    with pytest.raises(InputError, match=r"--mitigate .* --cache"):
        audit(data, mitigate=True)
    with pytest.raises(SplitError, match="3"):
        audit(data, fold_count=9)
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

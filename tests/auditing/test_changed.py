from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.auditing import changed
from cxrfeat.auditing.changed import CONTROL_VIEWS, MITIGATIONS, ChangedImages
from cxrfeat.auditing.inspections import inspect_folder
from cxrfeat.auditing.result import AuditResult
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.decode import decode
from cxrfeat.image.index import choose_images, index_folder
from cxrfeat.image.mask import find_masks, read_mask
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Features, Finding, Status, Views
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import PLAIN
from cxrfeat.workflow.audit import audit
from cxrfeat.workflow.extract import extract
from tests.auditing.shortcuts import Grid, cached, phantoms, rewrite, small
from tests.image.encode import encode, noise


@pytest.mark.slow
def test_the_crop_cures_it(tied_audit: AuditResult) -> None:
    ways = {one.name: one for one in tied_audit.mitigations}
    assert list(ways) == [*MITIGATIONS, "balanced by sex"]
    assert ways["none"].ratio_ci is not None
    assert ways["none"].ratio_ci[0] > 0.5
    for name in ("crop", "darken", "letters", "lungs"):
        control = ways[name].control
        assert control is not None
        assert control < 0.6, f"without lungs, {name} leaves nothing to tell the class by"
    assert ways["none"].auroc is not None
    assert ways["crop"].auroc is not None
    assert ways["crop"].auroc < ways["none"].auroc, "the score that the letter gave is gone"


@pytest.mark.slow
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
    assert masks.why == ("1 of 24 lung masks cannot be used (1 x blank: it has a single value); a template stands in.")
    assert [Path(path).stem for path in masks.images] == [bad.stem]
    assert {one.name for one in result.mitigations} == set(MITIGATIONS), "the lungs of one in 24 cost no row"
    oblong.write_bytes(encode(np.zeros((40, 90), np.uint8), "PNG"))
    empty.write_bytes(b"")
    result, masks = found()
    assert masks.value == 3
    assert {one.name for one in result.mitigations} == set(MITIGATIONS) - {"lungs"}, "those of three in 24 do"
    assert set(result.controls) >= set(CONTROL_VIEWS)


class Counted(Grid):
    """Counts views."""

    views = 0

    def run(self, views: Views) -> Features:
        type(self).views += len(views)
        return super().run(views)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    monkeypatch.setattr(Counted, "views", 0)
    return Counted


def chosen_and_cached(folder: Path, **fields: Any) -> tuple[Path, Path]:
    data = small(folder / "data", classes=("COVID", "NORMAL"), **fields)
    return data, cached(data, folder)


def test_of_copies_the_mask_of_the_first_that_has_one_counts(tmp_path: Path) -> None:
    data, made = chosen_and_cached(tmp_path)
    first = index_folder(data).rows[0]
    lungs = Image.open(data / str(first.mask))
    copies = []
    for name, mask in (("zz1", None), ("zz2", lungs.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), ("zz3", lungs)):
        path = f"COVID/images/{name}.png"
        shutil.copy(data / first.path, data / path)
        if mask:
            mask.save(data / "COVID" / "masks" / f"{name}.png")
        copies.append(path)
    (data / "metadata.csv").unlink()
    (data / str(first.mask)).unlink()
    with FeatureFile(made) as file:
        chosen = choose_images(data)
        with ChangedImages(file, chosen, fold_count=3, mitigate=False, make_engine=Grid) as images:
            manifest, _ = inspect_folder(chosen, views=images.views, take=images.take)
            masks = images.masks(manifest.rows)
            assert masks == find_masks(manifest.rows, data)
            found = images.features("lungs out", manifest.rows)
            place = {row.path: number for number, row in enumerate(manifest.rows)}
            of_copies = found[[place[path] for path in (first.path, *copies)]]
    assert masks[first.content_sha256].path.stem == "zz2"
    pixels = decode((data / first.path).read_bytes())
    inside = read_mask(masks[first.content_sha256], pixels.shape)
    views = apply_views(ViewSpec(size=128, mask="outside"), pixels, [PLAIN], lungs=inside)
    expected = Grid.run(Grid.__new__(Grid), views)
    np.testing.assert_array_equal(of_copies, np.repeat(expected, 4, axis=0))


def test_nothing_is_computed_that_no_model_is_judged_by(tmp_path: Path, counted: type[Counted]) -> None:
    data, made = chosen_and_cached(tmp_path, patients_per_class=4)
    result = audit(data, cache=made, make_engine=counted)
    assert counted.views == 0
    assert not result.controls.keys() & CONTROL_VIEWS
    assert "masks" in {one.check for one in result.findings}
    result = audit(data, cache=made, fold_count=2, make_engine=counted)
    assert counted.views == 8 * len(CONTROL_VIEWS)
    assert result.controls.keys() > set(CONTROL_VIEWS)


@pytest.mark.slow
def test_images_that_the_file_does_not_hold_are_passed_over(tmp_path: Path, counted: type[Counted]) -> None:
    data, made = chosen_and_cached(tmp_path)
    for number in range(5):
        (data / "COVID" / "images" / f"new{number}.png").write_bytes(encode(noise(number, 64, 64), "PNG"))
    audit(data, cache=made, fold_count=3, make_engine=counted)
    assert counted.views == 20 * len(CONTROL_VIEWS)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("masks", "lungs"),
    [
        (10, 12),
        (18, 20),
        pytest.param(0, 0, marks=pytest.mark.slow),
        pytest.param(19, 20, marks=pytest.mark.slow),
    ],
)
def test_lungs_alone_are_computed_as_long_as_there_may_be_masks_enough(
    tmp_path: Path, counted: type[Counted], masks: int, lungs: int
) -> None:
    """Of 20 images; those with masks come last, and might be copies of those without until the third has come."""
    data, made = chosen_and_cached(tmp_path)
    rows = index_folder(data).rows
    for row in rows[: 20 - masks]:
        (data / str(row.mask)).unlink()
    (data / "metadata.csv").unlink()
    result = audit(data, cache=made, mitigate=True, fold_count=3, make_engine=counted)
    assert ("lungs" in {one.name for one in result.mitigations}) == (masks >= 18)
    views = len(CONTROL_VIEWS) + 2 * (len(MITIGATIONS) - 1) - 1  # the lungs are taken out of plain images once
    assert counted.views == 20 * views + 2 * lungs


@pytest.mark.slow
def test_features_of_lungs_are_judged_though_their_masks_are_gone(tmp_path: Path) -> None:
    """What leaves nothing but lungs is then what changes nothing, and computed for that."""
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    lungs = ViewSpec(size=64, count=1, mask="lungs")
    made = extract(data, backbone="vgg16", weights="random", view=lungs, features=tmp_path, make_engine=Grid)
    (data / "metadata.csv").unlink()
    for row in index_folder(data).rows[:15]:
        (data / str(row.mask)).unlink()
    result = audit(data, cache=made.files[0].path, mitigate=True, fold_count=3, make_engine=Grid)
    assert [one.name for one in result.mitigations] == ["none", "crop", "darken", "letters"]


def test_what_takes_the_lungs_out_of_a_way_leaves_the_way_as_it_is() -> None:
    """Where lungs alone are left, they cannot be taken out: the border is kept."""
    assert changed._control_of({"border_crop": 0.12}) == {"border_crop": 0.12, "mask": "outside"}
    assert changed._control_of({"mask": "lungs"}) == {"mask": "lungs", "border_only": changed.BORDER}
    assert changed._control_of({}) == CONTROL_VIEWS["lungs out"]


@pytest.mark.slow
def test_balancing_is_compared_for_what_goes_with_the_class(tmp_path: Path) -> None:
    def told(number: int, row: dict[str, str]) -> dict[str, str]:
        tied = (row["label"] == "COVID") is (number % 5 > 0)
        return row | {"sex": "F" if tied else "M", "view_position": "PA" if number % 2 else "AP", "age": ""}

    data = small(tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=15)
    rewrite(data, told)
    result = audit(data, cache=cached(data, tmp_path), mitigate=True, fold_count=3, make_engine=Grid)
    ways = {one.name: one for one in result.mitigations}
    assert [name for name in ways if name.startswith("balanced")] == ["balanced by sex"], "views are alike in both"
    assert ways["balanced by sex"].auroc != ways["none"].auroc
    assert ways["balanced by sex"].control is not None

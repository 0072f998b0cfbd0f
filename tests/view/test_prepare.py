"""From a file and its lung mask to views: what each description uses, and what a bad mask costs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.statistics import pixel_statistics
from cxrfeat.feature.store import verify_features
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import MaskFile, Masks, find_masks, fitted, masks_digest, read_mask, template
from cxrfeat.image.row import ImageRow, Manifest
from cxrfeat.spec import Masking, ViewSpec
from cxrfeat.types import Grey, Views
from cxrfeat.view import apply
from cxrfeat.view import prepare as preparing
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import draw_order, draw_views
from tests.feature.images import extract
from tests.stub import stub_features, stub_request
from tests.view.prepared import prepared

PLAIN = ViewSpec(size=32, count=2)


@pytest.fixture
def data(phantoms: Path, tmp_path: Path) -> Path:
    """Phantoms and their masks, to be spoilt at will."""
    return Path(shutil.copytree(phantoms, tmp_path / "data"))


def masked(masks: Masks, mask: Masking, view: ViewSpec = PLAIN) -> ViewSpec:
    return replace(view, mask=mask, masks=masks_digest(masks))


def views(manifest: Manifest, row: ImageRow, spec: ViewSpec, mask: MaskFile | None) -> Views:
    return prepared(manifest.root / row.path, row.content_sha256, [spec], mask).of(spec)


def test_a_mask_is_used_by_the_descriptions_that_name_it_and_no_others(data: Path) -> None:
    manifest = index_folder(data)
    masks = find_masks(manifest.rows, data)
    row = manifest.rows[0]
    mask = masks[row.content_sha256]
    image = decode((data / row.path).read_bytes())
    lungs, params = read_mask(mask, image.shape), draw_views(PLAIN, row.content_sha256)
    inside, middle = fitted(lungs, image.shape), template(image.shape)
    for spec, kept in (
        (masked(masks, "lungs"), inside),
        (masked(masks, "outside"), ~inside),
        (replace(PLAIN, mask="outside"), ~middle),
        (PLAIN, np.ones_like(inside)),
    ):
        expected = apply_views(PLAIN, np.where(kept, image, 0).astype(np.uint8), params)
        assert np.array_equal(views(manifest, row, spec, mask), expected)
    assert not np.array_equal(inside, middle)
    with pytest.raises(BadImageError, match="no lung mask"):
        views(manifest, row, replace(PLAIN, mask="lungs"), mask)


def test_one_decoding_serves_every_description(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = index_folder(data)
    masks, row = find_masks(manifest.rows, data), manifest.rows[0]
    specs = [
        PLAIN,
        masked(masks, "lungs"),
        masked(masks, "outside"),
        replace(PLAIN, mask="outside"),
        replace(PLAIN, border_only=0.1),
        replace(PLAIN, shuffle=4),
        replace(PLAIN, letters=True),
        replace(PLAIN, letters=True, border_crop=0.1),
    ]
    decoded, searched = [], []

    def counted(content: bytes) -> Grey:
        decoded.append(1)
        return decode(content)

    def remove(image: Grey) -> Grey:
        searched.append(1)
        return image // 2

    monkeypatch.setattr(preparing, "decode", counted)
    for module in (preparing, apply):
        monkeypatch.setattr(module, "remove_letters", remove)
    mask = masks[row.content_sha256]
    found = prepared(data / row.path, row.content_sha256, specs, mask)
    assert (len(decoded), len(searched)) == (1, 1)
    assert list(found.views) == specs
    for spec in specs:
        assert np.array_equal(found.views[spec], views(manifest, row, spec, mask)), "alone as in company"
    image = decode((data / row.path).read_bytes())
    params, order = draw_views(PLAIN, row.content_sha256), draw_order(specs[5], row.content_sha256)
    assert np.array_equal(found.views[specs[5]], apply_views(specs[5], image, params, order=order))
    assert not np.array_equal(found.views[specs[5]], found.views[PLAIN])
    for spec in specs[6:]:
        bare = replace(spec, letters=False)
        assert np.array_equal(found.views[spec], apply_views(bare, image // 2, params))
        assert np.array_equal(found.views[spec], apply_views(spec, image, params)), "found again if need be"


def test_a_bad_mask_costs_the_descriptions_that_need_it_and_no_others(data: Path, tmp_path: Path) -> None:
    manifest = index_folder(data)
    rows = {row.content_sha256: row for row in manifest.rows}
    (cut, cut_mask), (gone, gone_mask), *_ = find_masks(manifest.rows, data).items()
    cut_mask.path.write_bytes(cut_mask.path.read_bytes()[:60])
    gone_mask.path.write_bytes(b"")
    masks = find_masks(manifest.rows, data)
    gone_mask.path.unlink()
    plain = stub_request()
    lungs = replace(plain, spec=replace(plain.spec, view=masked(masks, "lungs", plain.spec.view)))
    outside = replace(plain, spec=replace(plain.spec, view=masked(masks, "outside", plain.spec.view)))
    template_only = replace(plain, spec=replace(plain.spec, view=replace(plain.spec.view, mask="outside")))
    made = extract(data, tmp_path / "features", plain, lungs, outside, template_only, masks=masks)
    bad = {row.path for row in manifest.rows if row.content_sha256 in (cut, gone)}
    assert len(bad) >= 2
    for one, missing in zip(made, (set(), bad, bad, set()), strict=True):
        assert {image.path for image in one.quarantined} == missing
        assert all(image.reason.startswith("its lung mask: ") for image in one.quarantined)
        assert one.images == len(manifest.rows) - len(missing)
        assert verify_features(one.path) == []
    assert len({one.path for one in made}) == 4
    with FeatureFile(made[1].path) as file:
        assert file.spec.view.masks == masks_digest(masks)
        for sha, features in zip(file.content_sha256, file.features[...], strict=True):
            again = views(manifest, rows[sha], file.spec.view, masks[sha])
            np.testing.assert_array_equal(features, stub_features(again))
    repeated = extract(data, tmp_path / "features", lungs, masks=masks)[0]
    assert repeated.rows_reused == repeated.images, "what was computed is not computed again"


def test_statistics_are_of_the_masked_pixels(data: Path) -> None:
    manifest = index_folder(data)
    masks = find_masks(manifest.rows, data)
    view = masked(masks, "lungs")
    plain = replace(view, count=1)
    pixels = np.stack([views(manifest, row, plain, masks[row.content_sha256]) for row in manifest.rows])
    mean, std = pixel_statistics(manifest.rows, data, view, masks=masks)
    assert mean == pytest.approx(pixels.mean(dtype=np.float64), rel=1e-12)
    assert std == pytest.approx(pixels.std(dtype=np.float64), rel=1e-12)
    assert mean < pixel_statistics(manifest.rows, data, PLAIN)[0] / 2, "most of it is black"

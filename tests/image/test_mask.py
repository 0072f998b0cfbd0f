"""Mask files: found, named, read, and refused with a reason; and the template that stands in for one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.errors import BadImageError
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import Lungs, MaskFile, find_masks, masks_digest, read_mask, template
from cxrfeat.image.phantom import PhantomSpec, draw_phantom
from tests.image.encode import encode


def boxes(height: int = 60, width: int = 60) -> Lungs:
    lungs = np.zeros((height, width), bool)
    lungs[height // 4 : height // 2, width // 3 : width // 2] = True
    return lungs


def saved(path: Path, picture: NDArray[np.generic] | bytes, kind: str = "PNG") -> MaskFile:
    content = picture if isinstance(picture, bytes) else encode(picture, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return MaskFile(path, hashlib.sha256(content).hexdigest())


GREY = np.uint8(255) * boxes()


@pytest.mark.parametrize(
    "picture",
    [GREY, boxes(), np.dstack([GREY] * 3), np.uint16(65535) * boxes(), np.where(boxes(), 128, 127).astype(np.uint8)],
    ids=["8 bits", "1 bit", "RGB as Kaggle's", "16 bits", "half of white"],
)
def test_what_is_above_half_of_white_is_lung(picture: NDArray[np.generic], tmp_path: Path) -> None:
    lungs = read_mask(saved(tmp_path / "mask.png", picture), (60, 60))
    assert lungs.dtype == bool
    assert np.array_equal(lungs, boxes())


def test_a_mask_keeps_its_own_size_and_may_be_off_by_rounding(tmp_path: Path) -> None:
    mask = saved(tmp_path / "mask.png", np.uint8(255) * boxes(256, 256))
    for shape in ((299, 299), (1000, 1015), (100, 99)):
        assert read_mask(mask, shape).shape == (256, 256)


@pytest.mark.parametrize("shape", [(1000, 1030), (100, 90), (60, 120)])
def test_a_mask_of_another_form_is_refused(shape: tuple[int, int], tmp_path: Path) -> None:
    mask = saved(tmp_path / "mask.png", GREY)
    reason = rf"decode: its lung mask: 60 x 60, another form than the image's {shape[1]} x {shape[0]}"
    with pytest.raises(BadImageError, match=reason):
        read_mask(mask, shape)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((60, 60), np.uint8), "decode: its lung mask: blank, since nothing is brighter than half of white"),
        (boxes().astype(np.uint8), "blank, since nothing is brighter"),  # zeros and ones
        (np.full((60, 60), 255, np.uint8), "blank, since everything is brighter"),
        (encode(GREY, "PNG")[:90], "decode: its lung mask: .*cut short"),
        (b"", "header: its lung mask: the file is empty"),
        (np.uint8(255) * boxes(20, 20), "header: its lung mask: 20 x 20 is too small"),
    ],
    ids=["black", "zeros and ones", "white", "cut short", "empty", "tiny"],
)
def test_a_mask_that_says_nothing_is_refused(picture: NDArray[np.generic] | bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match=reason):
        read_mask(saved(tmp_path / "mask.png", picture), (60, 60))


def test_a_mask_that_is_gone_or_another_is_refused(tmp_path: Path) -> None:
    mask = saved(tmp_path / "mask.png", GREY)
    with pytest.raises(BadImageError, match="open: its lung mask: the file changed while the run went on"):
        read_mask(replace(mask, sha256="0" * 64), (60, 60))
    mask.path.unlink()
    with pytest.raises(BadImageError, match="open: its lung mask: the file is not there"):
        read_mask(mask, (60, 60))


def test_masks_are_found_by_content_and_the_first_of_two_counts(phantoms: Path) -> None:
    manifest = index_folder(phantoms)
    masks = find_masks(manifest.rows, phantoms)
    assert set(masks) == {row.content_sha256 for row in manifest.rows}
    for row in manifest.rows:
        content = masks[row.content_sha256].path.read_bytes()
        assert masks[row.content_sha256].sha256 == hashlib.sha256(content).hexdigest()
        assert hashlib.sha256((phantoms / str(row.mask)).read_bytes()).digest() == hashlib.sha256(content).digest()
    first, second = manifest.rows[:2]
    copy = replace(second, content_sha256=first.content_sha256)
    assert find_masks([first, copy], phantoms)[first.content_sha256].path == phantoms / str(first.mask)
    assert find_masks([copy, first], phantoms)[first.content_sha256].path == phantoms / str(second.mask)
    assert find_masks([replace(first, mask=None), copy], phantoms)[first.content_sha256].path == (
        phantoms / str(second.mask)
    )
    assert find_masks([replace(first, mask=None)], phantoms) == {}


def test_the_digest_names_the_masks_of_the_images_and_not_where_they_lie(phantoms: Path, tmp_path: Path) -> None:
    rows = index_folder(phantoms).rows[:4]
    masks = find_masks(rows, phantoms)
    digest = masks_digest(masks)
    assert len(digest) == 64
    moved = {sha: replace(mask, path=tmp_path) for sha, mask in reversed(list(masks.items()))}
    assert masks_digest(moved) == digest
    one, two = list(masks)[:2]
    assert masks_digest({**masks, one: masks[two]}) != digest, "another mask"
    assert masks_digest({sha: mask for sha, mask in masks.items() if sha != one}) != digest, "a mask less"
    assert masks_digest({**masks, one: masks[two], two: masks[one]}) != digest, "two that changed places"
    gone = find_masks([replace(rows[0], mask="nowhere.png"), *rows[1:]], phantoms)
    assert gone[rows[0].content_sha256].sha256 is None
    assert masks_digest(gone) != digest, "a mask that cannot be read"


def test_the_template_is_the_same_on_both_sides_and_fits_any_size() -> None:
    for height, width in ((299, 299), (64, 80), (1000, 700)):
        lungs = template((height, width))
        assert lungs.shape == (height, width)
        assert np.array_equal(lungs, lungs[:, ::-1])
        assert lungs.mean() == pytest.approx(0.615, abs=0.01)
        border = np.concatenate([lungs[0], lungs[-1], lungs[:, 0], lungs[:, -1]])
        assert not border.any(), "the border stays in sight"
        assert not lungs[int(height * 0.9) :].any(), "and so does the abdomen"


def test_the_template_covers_the_lungs_of_phantoms() -> None:
    spec = PhantomSpec(size=96)
    for class_index in range(3):
        for patient in range(8):
            lungs = draw_phantom(spec, class_index, patient, 0).lungs
            assert lungs[template(lungs.shape)].sum() / lungs.sum() > 0.95


def test_the_template_covers_the_dark_fields_of_the_mean_of_real_images(shared: Path) -> None:
    """In the mean image, the lungs are the dark fields that touch no border."""
    images = [
        np.asarray(Image.open(path).resize((64, 64)), np.float64)
        for path in sorted((shared / "data" / "cxr299").glob("*/*.png"))[::10]
    ]
    mean = np.mean([(image - image.mean()) / image.std() for image in images], axis=0)
    middle = mean[6:, 8:-8]
    dark = np.zeros((64, 64), bool)
    dark[6:, 8:-8] = middle < np.quantile(middle, 0.25)
    dark &= np.arange(64)[:, None] > 5
    assert dark.sum() > 300
    assert (dark & template((64, 64))).sum() / dark.sum() > 0.9

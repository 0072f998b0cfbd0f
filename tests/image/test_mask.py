"""Mask files: found, named, read, and refused with a reason; and the template that stands in for one."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import Lungs, MaskFile, find_masks, mask_notes, masks_digest, open_mask, read_mask, template
from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import PhantomSpec
from tests.image.encode import encode, noise, tiff


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


def palette(colours: list[int]) -> Image.Image:
    image = Image.new("P", (60, 60))
    image.putpalette(colours)
    image.paste(1, (0, 0), Image.fromarray(GREY))
    return image


def opaque(colour: int) -> Image.Image:
    plain = Image.new("L", (60, 60), colour)
    return Image.merge("RGBA", (plain, plain, plain, Image.fromarray(GREY)))


def labels(*, left: int, right: int, background: int = 0) -> NDArray[np.uint8]:
    """Two lungs with values of their own, of which together the result is."""
    picture = np.full((60, 60), background, np.uint8)
    picture[boxes()] = left
    picture[boxes() & (np.arange(60) > 24)] = right
    return picture


def soft(low: int, high: int) -> NDArray[np.uint8]:
    """Large lungs whose edges were smoothed by resizing."""
    large = Image.fromarray(np.uint8(255) * boxes(15, 15)).resize((60, 60), Image.Resampling.BILINEAR)
    return np.rint(low + np.asarray(large) / 255 * (high - low)).astype(np.uint8)


VALUES: dict[str, bytes] = {
    "8 bits": encode(GREY, "PNG"),
    "1 bit": encode(boxes(), "PNG"),
    "1 bit BMP": encode(boxes(), "BMP"),
    "RGB as Kaggle's": encode(np.dstack([GREY] * 3), "PNG"),
    "zeros and ones": encode(boxes().astype(np.uint8), "PNG"),
    "two greys": encode(np.where(boxes(), 128, 127).astype(np.uint8), "PNG"),
    "16 bits": encode(np.uint16(65535) * boxes(), "PNG"),
    "zeros and ones of 16 bits": encode(boxes().astype(np.uint16), "PNG"),
    "zeros and ones of 32 bits": tiff(boxes().astype(np.int32)),
    "floats": tiff(boxes().astype(np.float32)),
    "left 1, right 2": encode(labels(left=1, right=2), "PNG"),
    "left 2, right 1": encode(labels(left=2, right=1), "PNG"),
    "left 128, right 255": encode(labels(left=128, right=255), "PNG"),
    "labels of 16 bits": encode(labels(left=1, right=2).astype(np.uint16), "PNG"),
    "lungs 0 and 1, background 255": encode(labels(left=0, right=1, background=255), "PNG"),
    "a dark palette": encode(palette([0, 0, 0, 128, 0, 0]), "PNG"),
    "a palette from light to dark": encode(palette([255, 255, 255, 0, 0, 0]), "PNG"),
    "grey of RGBA": encode(np.dstack([GREY] * 3 + [np.full((60, 60), 255, np.uint8)]), "PNG"),
    "opacity of white": encode(opaque(255), "PNG"),
    "opacity of black": encode(opaque(0), "PNG"),
    "bright outside": encode(255 - GREY, "PNG"),
    "zeros and ones, bright outside": encode((~boxes()).astype(np.uint8), "PNG"),
}


@pytest.mark.parametrize("name", VALUES)
def test_any_two_values_and_any_labels_are_understood(name: str, tmp_path: Path) -> None:
    lungs = read_mask(saved(tmp_path / "mask.png", VALUES[name]), (60, 60))
    assert lungs.dtype == bool
    assert np.array_equal(lungs, boxes())


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 100), (20, 90), (255, 0)])
def test_soft_edges_are_cut_in_the_middle(low: int, high: int, tmp_path: Path) -> None:
    expected = soft(0, 255) > 127
    lungs = read_mask(saved(tmp_path / "mask.png", soft(low, high)), (60, 60))
    assert (lungs != expected).mean() < 0.003


def test_what_jpeg_leaves_round_an_edge_is_no_label(tmp_path: Path) -> None:
    content = encode(np.uint8(255) * boxes(128, 128), "JPEG", quality=95)
    lungs = read_mask(saved(tmp_path / "mask.png", content), (128, 128))
    assert (lungs != boxes(128, 128)).mean() < 0.001


def test_a_mask_keeps_its_own_size_and_may_be_off_by_rounding(tmp_path: Path) -> None:
    mask = saved(tmp_path / "mask.png", np.uint8(255) * boxes(256, 256))
    for shape in ((299, 299), (1000, 1015), (100, 99)):
        assert read_mask(mask, shape).shape == (256, 256)


@pytest.mark.parametrize("shape", [(1000, 1030), (100, 90), (60, 120)])
def test_a_mask_of_another_form_is_refused(shape: tuple[int, int], tmp_path: Path) -> None:
    mask = saved(tmp_path / "mask.png", GREY)
    reason = rf"decode: its lung mask: 60 x 60, shaped differently from the image's {shape[1]} x {shape[0]}"
    with pytest.raises(BadImageError, match=reason):
        read_mask(mask, shape)


def lit(share: float) -> NDArray[np.uint8]:
    """White but for a part of two sides."""
    picture = np.zeros((60, 60), np.uint8)
    picture[round(60 * (1 - share)) :] = 255
    return picture


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((60, 60), np.uint8), "decode: its lung mask: blank: it has a single value"),
        (np.full((60, 60), 255, np.uint8), "blank: it has a single value"),
        (encode(np.dstack([GREY * 0] * 4), "PNG"), "blank: it has a single value"),
        (noise(1, 60, 60), "decode: its lung mask: a picture, not a mask: 2.. grey values, most of them in between"),
        (
            lit(0.6),
            "decode: its lung mask: bright along 55% of its border, so it marks neither the lungs nor what "
            "surrounds them",
        ),
        (
            np.uint8(255) * (boxes() & (np.arange(60) == 21)),
            "it marks 0.42% of the image, too much or too little to be lungs",
        ),
        (encode(GREY, "PNG")[:90], "decode: its lung mask: .*cut short"),
        (b"", "header: its lung mask: the file is empty"),
        (np.uint8(255) * boxes(20, 20), "header: its lung mask: 20 x 20 is too small"),
    ],
    ids=["black", "white", "transparent", "a picture", "half the border", "a speck", "cut short", "empty", "tiny"],
)
def test_a_mask_that_says_nothing_is_refused(picture: NDArray[np.generic] | bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match=reason):
        read_mask(saved(tmp_path / "mask.png", picture), (60, 60))


def test_a_mask_that_is_gone_or_another_is_refused(tmp_path: Path) -> None:
    mask = saved(tmp_path / "mask.png", GREY)
    with pytest.raises(BadImageError, match="open: its lung mask: the file changed during the run"):
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


def test_masks_are_judged_when_they_are_found(phantoms: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(phantoms, tmp_path / "data"))
    rows = list({row.content_sha256: row for row in index_folder(data).rows}.values())[:6]
    wrong = [data / str(row.mask) for row in rows]
    turned, black, oblong = (decode(path.read_bytes()) for path in wrong[:3])
    wrong[0].write_bytes(encode(255 - turned, "PNG"))
    wrong[1].write_bytes(encode(black * 0, "PNG"))
    wrong[2].write_bytes(encode(oblong[: len(oblong) // 2], "PNG"))
    wrong[3].write_bytes(wrong[3].read_bytes()[:60])
    wrong[4].write_bytes(b"")
    masks = find_masks([*rows[:5], replace(rows[5], mask="gone.png")], data)
    assert [mask.image for mask in masks.values()] == [row.path for row in rows]
    assert [mask.inverted for mask in masks.values()] == [True] + [False] * 5
    told = [mask.problem for mask in masks.values()]
    assert told[0] is None
    assert [one and one[0] for one in told[1:]] == ["decode", "decode", "decode", "header", "open"]
    for row, mask in zip(rows[1:], list(masks.values())[1:], strict=True):
        with pytest.raises(BadImageError, match="its lung mask: "):
            read_mask(mask, (row.header.height, row.header.width))
    first, second = mask_notes(masks, "So there.", lambda path: path.upper())
    assert first.startswith(
        f"5 of 6 lung masks cannot be used: that of {rows[1].path.upper()!r} (blank: it has a single value"
    )
    assert first.endswith(", and 2 more. So there.")
    assert second == "1 of 6 lung masks are bright outside the lungs, and are used inverted."
    assert mask_notes(masks, None) == [second]
    good = find_masks(rows, phantoms)
    assert all(mask.problem is None and not mask.inverted for mask in good.values())
    assert mask_notes(good, "So there.") == []


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


def test_a_mask_that_is_opened_is_what_reading_it_again_gives(phantoms: Path) -> None:
    rows = index_folder(phantoms).rows
    masks = find_masks(rows, phantoms)
    for row in (replace(rows[0], mask="nowhere.png"), *rows[:3]):
        found, lungs = open_mask(row, phantoms)
        if row.mask == "nowhere.png":
            assert isinstance(lungs, BadImageError)
            assert found.problem == ("open", "the file is not there")
        else:
            assert found == masks[row.content_sha256]
            np.testing.assert_array_equal(lungs, read_mask(found, (row.header.height, row.header.width)))

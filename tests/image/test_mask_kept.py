from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.image.mask import find_masks, masks_digest
from tests.image.published_masks import (
    BOTH,
    NAMES,
    SIZE,
    cxas_arrays,
    draw_images,
    lung,
    lungs_of,
    montgomery,
    runs,
    stems,
    table,
    taken,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "data")


def test_features_hang_on_the_runs_of_the_lungs_and_on_nothing_else_of_a_row(data: Path, tmp_path: Path) -> None:
    def digest(name: str, cells: dict[str, Any]) -> str:
        manifest = taken(data, table(tmp_path / name, stems(NAMES), cells=cells))
        return masks_digest(find_masks(manifest.rows, data))

    plain = digest("a.csv", {})
    assert digest("b.csv", {"Heart": "9 9", "Dice RCA (Mean)": "0.1"}) == plain
    assert digest("c.csv.gz", {}) == plain
    assert digest("d.csv", {"Left Lung": runs(lung("left"))[:-1] + "1"}) != plain
    assert digest("e.csv", {"Left Lung": "", "Heart": ""}) != plain


def test_the_digest_of_two_halves_is_of_both(data: Path, tmp_path: Path) -> None:
    folder = montgomery(tmp_path, NAMES)
    manifest = taken(data, folder)
    masks = find_masks(manifest.rows, data)
    first = masks[manifest.rows[0].content_sha256]
    assert first.place is not None
    contents = [Path(path).read_bytes() for path in first.place.paths]
    assert first.sha256 not in {hashlib.sha256(content).hexdigest() for content in contents}
    Image.fromarray(lung("right", 2 * SIZE)[:, ::-1]).save(first.place.paths[1])
    assert find_masks(manifest.rows[:1], data)[manifest.rows[0].content_sha256].sha256 != first.sha256


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"Left Lung": ""}, "the left lung has no runs"),
        ({"Left Lung": "1 2 3"}, "not pairs of start and length"),
        ({"Right Lung": "1 x"}, "of the right lung are not whole numbers"),
        ({"Right Lung": "99999999999999999999999 1"}, "of the right lung are not whole numbers"),
        ({"Left Lung": "0 5"}, "leave the 9216 pixels"),
        ({"Left Lung": "9000 500"}, "leave the 9216 pixels"),
        ({"Left Lung": "9000 9223372036854775807"}, "leave the 9216 pixels"),
        ({"Height": "nan"}, "lacks a number or a cell"),
        ({"Height": "-96", "Width": "-96"}, "its table says -96 x -96 pixels"),
        ({"Height": "99999999", "Width": "99999999"}, "its table says 99999999 x 99999999 pixels"),
        ({"Height": "48", "Width": "192"}, "192 x 48, shaped differently from the image's 96 x 96"),
        ({"Left Lung": "1 9216"}, "bright along 100% of its border"),
        ({"Left Lung": "100 2", "Right Lung": "100 2"}, "it marks 0.02% of the image"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_row_that_is_no_mask_is_told_and_ends_nothing(
    data: Path, tmp_path: Path, cells: dict[str, str], why: str, suffix: str
) -> None:
    manifest = taken(data, table(tmp_path / f"t{suffix}", ["a_1"], cells=cells))
    (mask,) = find_masks(manifest.rows, data).values()
    assert mask.problem is not None
    if suffix == ".csv" or "lacks" not in why:
        assert why in mask.problem[1]


def test_runs_may_touch_overlap_and_stand_in_any_order(data: Path, tmp_path: Path) -> None:
    pairs = np.array(runs(lung("left")).split()).reshape(-1, 2)
    mixed = " ".join(pairs[::-1].ravel()) + " " + " ".join(pairs[4]) + f" {int(pairs[4][0]) + 2} 3"
    assert (lungs_of(taken(data, table(tmp_path / "t.csv", stems(NAMES), cells={"Left Lung": mixed})))[0] == BOTH).all()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no array of NumPy"),
        (b"\x93NUMPY\x01\x00", "no array of NumPy"),
        (np.zeros((159, SIZE, SIZE), np.bool_), "one of its lungs has no pixel"),
        (np.zeros((3, SIZE, SIZE), np.bool_), "an array of 3 x 96 x 96, and neither"),
        (np.full((14, SIZE, SIZE), 7.0), "neither probabilities nor logits"),
        (np.full((14, SIZE, SIZE), np.nan), "not finite"),
        (np.zeros((159, SIZE, SIZE), np.complex64), "an array of 159"),
        (np.asfortranarray(np.ones((14, SIZE, SIZE))), "an array of 14"),
        (np.array([{"a": 1}], dtype=object), "an array of 1"),
    ],
)
def test_an_array_that_is_no_mask_is_told(data: Path, tmp_path: Path, content: Any, why: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    if isinstance(content, bytes):
        (folder / "a_1.npy").write_bytes(content)
    else:
        np.save(folder / "a_1.npy", content, allow_pickle=True)
    manifest = taken(data, folder)
    (mask,) = find_masks(manifest.rows, data).values()
    assert mask.problem is not None
    assert why in mask.problem[1]


def test_an_array_that_is_cut_short_is_told(data: Path, tmp_path: Path) -> None:
    folder = cxas_arrays(tmp_path, NAMES)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[: 100 * SIZE * SIZE if path.suffix == ".npy" else 400])
    assert all(mask.problem is not None for mask in find_masks(taken(data, folder).rows, data).values())

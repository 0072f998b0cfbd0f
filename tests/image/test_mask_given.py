from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import InputError
from cxrfeat.image.index import index_folder, summary
from cxrfeat.image.layout import find_layout
from cxrfeat.image.mask import find_masks
from cxrfeat.image.note import texts
from cxrfeat.image.row import Selection
from tests.image.published_masks import (
    BOTH,
    NAMES,
    SIZE,
    WRITERS,
    draw_images,
    lung,
    lungs_of,
    montgomery,
    pictures,
    stems,
    table,
    taken,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "data")


@pytest.mark.few(4)
@pytest.mark.parametrize("form", WRITERS)
def test_masks_as_they_are_published_are_the_lungs_that_were_drawn(data: Path, tmp_path: Path, form: str) -> None:
    write, kind = WRITERS[form]
    manifest = taken(data, write(tmp_path, NAMES))
    assert summary(manifest)["masks_from"] == {kind: 4}
    for lungs in lungs_of(manifest):
        small = np.asarray(Image.fromarray(lungs).resize((SIZE, SIZE), Image.Resampling.NEAREST))
        assert (small == BOTH).mean() > 0.99
        if lungs.shape == BOTH.shape:
            np.testing.assert_array_equal(lungs, BOTH)


@pytest.mark.parametrize("form", ["cxas", "Montgomery"])
def test_halves_and_structures_among_the_images_are_masks_too(data: Path, form: str) -> None:
    WRITERS[form][0](data, NAMES)
    manifest = index_folder(data)
    assert [row.path for row in manifest.rows] == list(NAMES)
    assert summary(manifest)["masks_from"] == {"a file for each lung": 4}


def test_a_folder_of_masks_in_the_data_holds_no_images(data: Path) -> None:
    pictures(data / "drawn", dict.fromkeys(NAMES, BOTH))
    manifest = taken(data, data / "drawn")
    assert [row.path for row in manifest.rows] == list(NAMES)
    assert summary(manifest)["masks"] == 4
    assert not [note for note in texts(manifest.notes) if "drawn" in note]
    with pytest.raises(InputError, match=r"`masks` names the data folder .* itself"):
        taken(data, data)


def test_images_are_no_masks_of_the_folder_around_them(data: Path, tmp_path: Path) -> None:
    montgomery(tmp_path, NAMES)
    manifest = taken(data, tmp_path)
    assert summary(manifest)["masks_from"] == {"a file for each lung": 4}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("nothing", None, "There is no .*nothing', which `masks` names"),
        ("picture.png", b"", "which `masks` names, is a picture"),
        ("text.txt", b"", "which `masks` names, is no table"),
        ("plain.csv", b"image,label\na_1,A\n", "has no columns of masks"),
        ("empty.csv", b"", "has no columns of masks"),
        ("others.csv", b"dicom_id,Left Lung,Right Lung\nzz,1 2,3 4\n", "holds no mask of these images: 1 row"),
        ("open.csv", b'dicom_id,Left Lung,Right Lung\nzz,"1 2,3 4\n' + bytes(1 << 24), "a quote in it is never closed"),
        ("damaged.csv.gz", b"no gzip at all", "cannot be read"),
        ("cut.csv.gz", gzip.compress(b"dicom_id,Left Lung,Right Lung\nzz,1 2,3 4\n", mtime=0)[:-9], "cut short"),
    ],
)
def test_what_holds_no_masks_of_these_images_is_refused(
    data: Path, tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=why):
        taken(data, tmp_path / name)


def test_a_folder_of_other_things_is_refused_with_what_is_there(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no mask of these images: 1 mask, such as 'zz.png' among 1 file"):
        taken(data, pictures(tmp_path / "others", {"zz.png": BOTH}))


def test_a_table_of_masks_that_lies_with_the_images_is_told(data: Path) -> None:
    table(data / "MIMIC-CXR-JPG.csv", stems(NAMES))
    manifest = index_folder(data)
    assert summary(manifest)["masks"] == 0
    assert "The table 'MIMIC-CXR-JPG.csv' holds lung masks, which are not used" in " ".join(texts(manifest.notes))
    assert summary(taken(data, data / "MIMIC-CXR-JPG.csv"))["masks"] == 4


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """CheXpert calls hundreds of thousands of images `view1_frontal.jpg`."""
    names = [f"{part}/patient{number}/study1/view1_frontal.png" for part in ("train", "valid") for number in (1, 2)]
    data = draw_images(tmp_path / "CheXpert", names)
    lines = ["image,label"]
    lines += [f"{name},{'AB'[place % 2]}" for place, name in enumerate(names)]
    (data / "metadata.csv").write_text("\n".join(lines))
    listed = [f"CheXpert-v1.0/{names[0]}", names[2], "train/patient7/study1/view1_frontal.png"]
    masks = table(tmp_path / "CheXpert.csv", listed, column="Path")
    layout = find_layout(data, Selection(masks=[masks]))
    assert [entry.path for entry in layout.entries if entry.mask] == [names[0], names[2]]
    bare = table(tmp_path / "bare.csv", ["view1_frontal.png", names[3]], column="Path")
    layout = find_layout(data, Selection(masks=[bare]))
    assert [entry.path for entry in layout.entries if entry.mask] == [names[3]]
    assert "1 mask whose name several images have, such as 'view1_frontal.png'" in " ".join(texts(layout.notes))


def test_named_masks_count_before_those_among_the_images(data: Path, tmp_path: Path) -> None:
    pictures(data, {one.replace("/", "/masks/"): lung("left") for one in NAMES})
    assert all(bool((lungs == lung("left")).all()) for lungs in lungs_of(index_folder(data)))
    manifest = taken(data, table(tmp_path / "t.csv", stems(NAMES[:3])))
    assert [bool((lungs == BOTH).all()) for lungs in lungs_of(manifest)] == [True, True, True, False]
    assert summary(manifest)["masks_from"] == {"files": 1, "rows of a table": 3}


def test_halves_that_do_not_fit_each_other_are_told(data: Path, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "m", {"left/a_1.png": lung("left"), "right/a_1.png": lung("right", 64)})
    (mask,) = find_masks(taken(data, folder).rows, data).values()
    assert mask.problem == ("decode", "one lung in 96 x 96, the other in 64 x 64")


def test_what_goes_to_no_image_or_to_several_is_told(data: Path, tmp_path: Path) -> None:
    draw_images(data, (*NAMES, "A/same.png", "B/same.png"))
    drawn = {"a_1.png": BOTH, "more/a_1.png": BOTH, "same.png": BOTH, "left/b_1.png": BOTH, "gone.png": BOTH}
    folder = pictures(tmp_path / "m", drawn | {"A/heart_masks/a_2.png": BOTH})
    (folder / "all.json").write_text("{}")
    layout = find_layout(data, Selection(masks=[folder]))
    assert {entry.path for entry in layout.entries if entry.mask} == {"A/a_1.png"}
    told = " ".join(texts(layout.notes))
    for part in (
        "2 masks whose name several images have",
        "1 mask whose name no image has, such as 'gone.png'",
        "1 mask of one lung alone",
        "1 mask of something else than lungs",
        "Not read: 1 file next to the masks, such as 'all.json'",
    ):
        assert part in told

from __future__ import annotations

import pytest

from cxrfeat.image.mask_file import find_mask_files
from cxrfeat.image.note import texts


@pytest.mark.parametrize(
    "folder",
    ["masks", "Masks", "MASK", "lung masks", "Lung_Masks", "masks_png", "mask_256", "lung_mask", "LungMasks",
     "lungmask", "segmentations", "Lung_Segmentation", "annotations", "ground_truth_masks", "GT"],
)  # fmt: skip
def test_masks_by_any_usual_name_of_their_folder(folder: str) -> None:
    found = find_mask_files([f"A/images/{n}.png" for n in (1, 2, 3)] + [f"A/{folder}/{n}.png" for n in (1, 2, 3)])
    assert found.of == {f"A/images/{n}.png": f"A/{folder}/{n}.png" for n in (1, 2, 3)}
    assert not found.notes


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("A/1.jpg", "A/masks/1.png"),
        ("A/images/1.JPG", "A/images/masks/1_mask.PNG"),
        ("A/1.png", "A/1_mask.png"),
        ("A/1.png", "A/1-lung-mask.png"),
        ("A/covid_1.png", "A/masks/covid_1_seg.png"),
        ("A/1.png", "A/masks/mask_1.png"),
        ("images/A/1.png", "masks/A/1.png"),
        ("train/A/images/1.png", "train/A/lung masks/1.png"),
        ("A/p1/1.png", "all_masks/1.png"),  # the only image of that name
        ("1.2.840.1", "masks/1.2.840.1.png"),
    ],
)
def test_a_mask_is_joined_to_its_image(image: str, mask: str) -> None:
    assert find_mask_files([image, mask]).of == {image: mask}


@pytest.mark.parametrize(
    "paths",
    [
        ["Lung Segmentation Data/Train/A/1.png", "Lung Segmentation Data/Train/B/2.png"],
        ["annotations/1.png", "annotations/2.png"],  # nothing beside it
        ["A/1_mask.png", "A/2_mask.png"],  # no images without: perhaps people with masks
        ["Unmasked/1.png", "masked/2.png"],
        ["A/seg1.png", "B/gt.png"],
    ],
)
def test_what_only_sounds_like_a_mask_is_an_image(paths: list[str]) -> None:
    assert find_mask_files(paths).files == set()


def test_masks_that_are_not_used_are_told() -> None:
    images = ["A/images/1.png", "B/images/1.png", "A/images/2.png", "A/images/3.png"]
    masks = ["A/infection masks/1.png", "A/ManualMask/leftMask/2.png", "A/masks/9.png", "masks/1.png"]
    twice = ["A/masks/3.png", "A/lung_masks/3.png"]
    found = find_mask_files([*images, *masks, *twice])
    assert found.of == {"A/images/3.png": "A/lung_masks/3.png"}
    assert found.files == {*masks, *twice}
    told = " ".join(texts(found.notes))
    for part in ("1 mask of something else than lungs", "1 mask of one lung alone", "1 mask whose name no image has",
                 "1 mask whose name several images have", "1 mask of images that have another"):  # fmt: skip
        assert part in told

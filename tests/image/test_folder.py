"""Which folders are classes, parts of a split, or neither: each case is a tree as people have it on disk."""

from __future__ import annotations

import pytest

from cxrfeat.image.folder import FolderClaims, claims_of, near_equal, single_folder
from cxrfeat.types import Part


def read(*paths: str, root: str = "data") -> FolderClaims:
    return claims_of(sorted(paths), single_folder(paths), root)


def tree(*folders: str) -> list[str]:
    """Two images in each folder."""
    return [f"{folder}/{number}.png" for folder in folders for number in (1, 2)]


def classes(claims: FolderClaims) -> dict[str, str]:
    """The class of each folder."""
    return {path.rpartition("/")[0]: label for path, label in claims.labels.items()}


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        (("A", "B/deep/er"), {"A": "A", "B/deep/er": "B"}),
        (("COVID/images", "Normal/images"), {"COVID/images": "COVID", "Normal/images": "Normal"}),
        # unpacked one or two folders too deep
        (("Set/A", "Set/B"), {"Set/A": "A", "Set/B": "B"}),
        (("x/COVID-19_Radiography_Dataset/COVID/images", "x/COVID-19_Radiography_Dataset/Normal/images"),
         {"x/COVID-19_Radiography_Dataset/COVID/images": "COVID",
          "x/COVID-19_Radiography_Dataset/Normal/images": "Normal"}),
        (("images/A", "images/B"), {"images/A": "A", "images/B": "B"}),
        # one class is one class, whatever it holds
        (("COVID/patient1", "COVID/patient2"), {"COVID/patient1": "COVID", "COVID/patient2": "COVID"}),
        (("COVID/images",), {"COVID/images": "COVID"}),
        # sub-classes and positions lie inside classes
        (("Pneumonia/Viral", "Pneumonia/Bacterial", "Normal"),
         {"Pneumonia/Viral": "Pneumonia", "Pneumonia/Bacterial": "Pneumonia", "Normal": "Normal"}),
        (("COVID/PA", "COVID/AP", "NORMAL/PA", "NORMAL/AP"),
         {"COVID/PA": "COVID", "COVID/AP": "COVID", "NORMAL/PA": "NORMAL", "NORMAL/AP": "NORMAL"}),
        # folds and hospitals lie above them
        (("fold1/A", "fold1/B", "fold2/A", "fold2/B"),
         {"fold1/A": "A", "fold1/B": "B", "fold2/A": "A", "fold2/B": "B"}),
        (("GMH/COVID", "GMH/normal", "NIH/COVID", "NIH/Normal"),
         {"GMH/COVID": "COVID", "GMH/normal": "normal", "NIH/COVID": "COVID", "NIH/Normal": "Normal"}),
    ],
)  # fmt: skip
def test_the_class_of_a_folder(folders: tuple[str, ...], found: dict[str, str]) -> None:
    claims = read(*tree(*folders))
    assert claims.problem is None
    assert classes(claims) == found
    assert claims.parts == {}


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train/A", "val/A", "test/A"),
        ("Training/A", "dev/A", "Testing/A"),
        ("train_images/A", "valid_images/A", "test_images/A"),
        ("stage_2_train_images/A", "validation set/A", "TestSet/A"),
        (
            "Lung Segmentation Data/Train/A/images",
            "Lung Segmentation Data/Val/A/images",
            "Lung Segmentation Data/Test/A",
        ),
        ("chest_xray/train/A", "chest_xray/val/A", "chest_xray/test/A"),
        ("train/images/A", "val/images/A", "test/images/A"),
        ("A/train", "A/val", "A/test"),
        ("fold1/train/A", "fold1/val/A", "fold1/test/A"),
    ],
)
def test_parts_under_any_usual_name_and_place(train: str, validation: str, test: str) -> None:
    both = [folder.replace("A", label) for folder in (train, validation, test) for label in ("A", "B")]
    claims = read(*tree(*both))
    assert claims.problem is None
    assert set(claims.labels.values()) == {"A", "B"}
    assert [claims.parts[f"{folder}/1.png"] for folder in (train, validation, test)] == list(Part)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (tree("train/A", "COVID"), "train next to COVID: the first are parts"),
        (
            tree("dataset/train/A", "dataset/test/A", "other/A"),
            "'dataset' holds parts of a split, and 'other' next to it",
        ),
        (["train/1.png", *tree("test/A")], "'train' holds images directly"),
    ],
)
def test_trees_that_contradict_themselves(paths: list[str], message: str) -> None:
    problem = read(*paths).problem
    assert problem is not None
    assert message in str(problem)


def test_a_folder_that_holds_itself_once_more_is_left_aside() -> None:
    parts = tree("train/A", "test/A")
    claims = read(*parts, *(f"chest_xray/{path}" for path in parts), root="chest_xray")
    assert set(claims.labels) == set(parts)
    assert claims.copies == {f"chest_xray/{path}" for path in parts}
    assert "holds itself once more, with 4 images" in claims.notes[0].text
    other = read(*parts, *tree("chest_xray/train/C"), root="chest_xray")  # not the same files: no copy
    assert other.problem is not None


def test_what_was_passed_over_is_said() -> None:
    assert "one folder 'Set', which was entered" in read(*tree("Set/A", "Set/B")).notes[0].text
    (note,) = read(*tree("fold1/A", "fold1/B", "fold2/A", "fold2/B")).notes
    assert "'fold1', 'fold2' all hold 'A', 'B', so these are the classes" in note.text


def test_one_name_in_two_spellings() -> None:
    assert near_equal(["Caf\u00e9", "Cafe\u0301", "COVID-19", "covid 19", "B"]) == [
        ["COVID-19", "covid 19"],
        ["Cafe\u0301", "Caf\u00e9"],
    ]

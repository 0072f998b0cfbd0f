from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.image.dataset import dataset_name
from cxrfeat.image.row import Selection


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("covid", "covid"),
        ("chest images (2)", "chest-images-2-"),
        ("..hidden", "hidden"),
        ("lungs.v2.", "lungs.v2"),
        ("\u80ba", "data"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_name_is_the_folders_fit_for_files(folder: str, name: str) -> None:
    assert dataset_name(Path("/there") / folder, Selection()) == name


def test_the_root_of_the_disk_has_a_name_too() -> None:
    assert dataset_name(Path("/"), Selection()) == "data"


def test_what_was_chosen_is_in_the_name_and_what_chooses_nothing_is_not() -> None:
    def name(**chosen: object) -> str:
        return dataset_name(Path("/d/data"), Selection(**chosen))  # type: ignore[arg-type]  # of several types

    assert name(seed=3) == name(patient_regex="p") == name(strict=True) == "data"
    assert name(classes=("A", "B")) == name(classes=("B", "A", "A"), seed=3)  # nothing is drawn, so no seed matters
    different = {name(classes="A"), name(limit=5), name(limit=5, seed=1), name(per_class=5), name(classes="A", limit=5)}
    assert len(different) == 5
    assert all(one.startswith("data.") and len(one) == len("data.") + 6 for one in different)

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cxrfeat.errors import InputError, UsageError
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import Run, read_run
from cxrfeat.run.validation import Validation
from cxrfeat.run.validation_file import read_validation, validations_of
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.validate import Validations, validate
from tests.stub import StubEngine, StubFactory


def phantoms(folder: Path, seed: int, patients: int = 12) -> Path:
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=patients, size=64, seed=seed))
    return folder


@dataclass(frozen=True)
class Place:
    """Two hospitals, and a run that was fitted on the first."""

    folder: Path

    @property
    def run(self) -> Run:
        return read_run(self.folder / "runs" / "mine")

    def validate(self, *data: Path, **asked: Any) -> Validations:
        return validate(
            "mine", data, features=self.folder / "features", runs=self.folder / "runs",
            **{"make_engine": StubEngine} | asked,
        )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    phantoms(folder / "away", 7)
    file = extract(
        phantoms(folder / "home", 1), backbone="resnet50", weights="random", views=2, size=32,
        features=folder / "features", make_engine=StubEngine,
    ).files[0]  # fmt: skip
    fit(file, "logreg", runs=folder / "runs", name="mine")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, same_user: None) -> Place:
    return Place(Path(shutil.copytree(made, tmp_path / "here")))


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_table(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def apart(folder: Path) -> None:
    """Give the patients of a hospital names of its own."""
    write_table(folder, [row | {"patient_id": f"away-{row['patient_id']}"} for row in table(folder)])


def test_another_hospital_is_scored_beside_the_own_test_and_kept_in_the_run(place: Place, stub: StubFactory) -> None:
    away = place.folder / "away"
    apart(away)
    result = place.validate(away, recalibrate=0.3, make_engine=stub)
    (one,) = result.validated
    assert one.seen == ()
    assert one.document.looked_for == ("bytes", "pixels", "patients")
    assert one.document.random_weights
    assert validations_of(place.run) == [read_validation(one.path)] == [one.document]
    told = result.to_dict()
    assert told["external"]["images"] == one.features.images
    assert {"run", "data", "internal", "external", "gap", "calibration", "out_of_distribution", "seen"} <= told.keys()
    assert stub.rows == one.features.images, "the plain view alone: the run predicts by that"
    again = place.validate(away, make_engine=stub)
    assert stub.rows == one.features.images, "nothing is computed twice"
    assert again.validated[0].document.external == one.document.external


def test_a_planted_image_in_another_format_and_a_planted_patient_are_found(place: Place) -> None:
    away, home = place.folder / "away", place.folder / "home"
    apart(away)
    theirs, ours = table(away), table(home)
    with Image.open(home / ours[0]["image"]) as image:  # the same picture, in another file of other bytes
        image.convert("L").resize((70, 70)).save(away / theirs[2]["image"], format="JPEG", quality=90)
    theirs[-1]["patient_id"] = ours[5]["patient_id"]
    write_table(away, theirs)
    seen = {one["image"]: one for one in place.validate(away).validated[0].seen}
    assert seen[theirs[2]["image"]]["how"].startswith("near")
    assert seen[theirs[-1]["image"]]["how"] == "same patient"
    patients = (theirs[2]["patient_id"], theirs[-1]["patient_id"])
    beside = {row["image"] for row in theirs if row["patient_id"] in patients}
    assert set(seen) == beside, "with the other images of these patients, and no others"
    with pytest.raises(InputError, match=r"images of .*away are in the data of mine.*omit `seen=refuse`"):
        place.validate(away, seen="refuse")


@pytest.mark.slow
def test_equal_numbers_are_of_one_patient_unless_somebody_says_that_they_are_not(place: Place) -> None:
    away, ours = place.folder / "away", table(place.folder / "home")
    write_table(away, [row | {"patient_id": ours[0]["patient_id"]} for row in table(away)])
    with pytest.raises(InputError, match=r"No image of COVID, NORMAL in away is left.*`other_patients`"):
        place.validate(away)
    assert place.validate(away, other_patients=True).validated[0].seen == ()


def test_the_own_images_of_a_run_are_not_another_hospital(place: Place) -> None:
    with pytest.raises(InputError, match="mine has seen all of them"):
        place.validate(place.folder / "home", other_patients=True)


@pytest.mark.slow
def test_classes_by_other_names_are_joined_before_anything_is_computed(place: Place, stub: StubFactory) -> None:
    away = place.folder / "away"
    write_table(away, [row | {"label": row["label"].replace("NORMAL", "No Finding")} for row in table(away)])
    shutil.move(away / "NORMAL", away / "other")
    write_table(away, [row | {"image": row["image"].replace("NORMAL/", "other/")} for row in table(away)])
    with pytest.raises(InputError, match=r"away holds COVID, No Finding: .* as in No Finding=COVID"):
        place.validate(away, make_engine=stub)
    with pytest.raises(UsageError, match=r"names 'No Findings', and no data set has such a class\. Did you mean"):
        place.validate(away, renamed={"No Findings": "NORMAL"}, make_engine=stub)
    assert stub.rows == 0
    found = place.validate(away, renamed={"No Finding": "NORMAL"}, other_patients=True, by="sex").validated[0].document
    assert isinstance(found, Validation)
    assert found.classes == ("COVID", "NORMAL")
    assert {row["by"] for row in found.subgroups} == {"sex"}


@pytest.mark.slow
def test_several_sets_are_told_under_one_another(place: Place) -> None:
    folders = [place.folder / "away", phantoms(place.folder / "third", 9, 9)]
    told = place.validate(*folders, other_patients=True).to_dict()
    assert [one["dataset"] for one in told["validations"]] == ["away", "third"]
    assert told["run"] == "mine"
    assert len(validations_of(place.run)) == 2


@pytest.mark.parametrize("share", [0, 1, 30, -0.1])
def test_no_share_is_refused(place: Place, share: float) -> None:
    with pytest.raises(UsageError, match="`recalibrate` is a share of the other set, above 0 and below 1"):
        place.validate(place.folder / "away", recalibrate=share)


def test_without_the_features_of_home_bytes_are_looked_for_and_that_is_said(place: Place) -> None:
    away, home = place.folder / "away", place.folder / "home"
    apart(away)
    shutil.copy(home / table(home)[0]["image"], away / table(away)[0]["image"])
    for path in (place.folder / "features").iterdir():
        path.unlink()
    (one,) = place.validate(away).validated
    assert [told["how"] for told in one.seen][:1] == ["same bytes"]
    assert one.document.looked_for == ("bytes",)

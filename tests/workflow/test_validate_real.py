"""What validation and conformal sets are worth on real X-rays, whose truth is known: a part of one set as another's."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from cxrfeat.auditing.outside import judge
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import as_fitted
from cxrfeat.head.fit import fit_head
from cxrfeat.head.of_run import load_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.conformal import conformal, coverage_of
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import Run
from cxrfeat.run.validation import Validation
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.predict import predict
from cxrfeat.workflow.validate import validate

pytestmark = [pytest.mark.slow, pytest.mark.weights, pytest.mark.usefixtures("same_user")]


@pytest.fixture(scope="module")
def network(shared: Path) -> Path:
    place = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not place.is_file():
        pytest.skip(f"{place} is not here")
    return place


@pytest.fixture(scope="module")
def features(shared: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    made = extract(shared / "data" / "cxr299", backbone=network, preprocess="tf", views=1, features=folder)
    return made.files[0].path


def without_a_fifth(features: Path, seed: int, folder: Path) -> tuple[Run, Validation]:
    """A run fitted without a fifth of the patients, and how it does on these as if they were another hospital's."""
    with FeatureFile(features) as file:
        patients = np.random.default_rng(seed).permutation(np.unique(file.groups))
        away = np.isin(file.groups, patients[: len(patients) // 5])
        table = folder / f"{seed}.csv"
        lines = [f"{one},yes\n" for one, out in zip(file.image_ids, away, strict=True) if out]
        table.write_text("image_id,leave_out\n" + "".join(lines))
        run = fit(features, "logreg", exclude=table, runs=folder / "runs", seed=seed).runs[0]
        head, novelty = load_head(run)
        found, _ = judge(
            run, head, novelty, file.without(np.flatnonzero(~away).tolist()), as_fitted(file, run), renamed={}, seen=(),
            looked_for=("bytes", "pixels", "patients"), seed=seed,
        )  # fmt: skip
    return run, found


def test_patients_of_the_same_hospital_show_no_gap_in_nine_of_ten_cases(features: Path, tmp_path: Path) -> None:
    """Twenty draws: all intervals of accuracy and AUROC held 0, and features told nothing apart (0.49 in the mean)."""
    held, apart = [], []
    for seed in range(20):
        _, found = without_a_fifth(features, seed, tmp_path)
        for ends in (found.gap.accuracy_ci, found.gap.balanced_accuracy_ci, found.gap.auroc_ci):
            assert ends is not None
            held.append(ends[0] <= 0 <= ends[1])
        apart += [one.auroc for one in found.apart.values() if one.auroc is not None]
    assert np.mean(held) >= 0.9
    assert np.mean(apart) == pytest.approx(0.5, abs=0.04)


@dataclass(frozen=True)
class Hospitals:
    """A set in two: one to train on, and another to try it on."""

    folder: Path
    run: Run

    def tried(self, name: str) -> Validation:
        result = validate(self.run, self.folder / name, features=self.folder / "features")
        assert not result.validated[0].seen
        document = result.validated[0].document
        assert isinstance(document, Validation)
        return document


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_table(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def hospitals(shared: Path, network: Path, features: Path, tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    source, folder = shared / "data" / "cxr299", tmp_path_factory.mktemp("hospitals")
    rows = table(source)
    with FeatureFile(features) as file:  # by the groups that copies make too
        group = dict(zip(file.content_sha256, file.groups.tolist(), strict=True))
    from hashlib import sha256

    of_row = [group[sha256((source / row["image"]).read_bytes()).hexdigest()] for row in rows]
    patients = np.random.default_rng(0).permutation(np.unique(of_row))
    away = set(patients[: len(patients) // 5].tolist())
    for name in ("home", "away"):
        some = [row for row, one in zip(rows, of_row, strict=True) if (one in away) == (name == "away")]
        for row in some:
            place = folder / name / row["image"]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / row["image"], place)
        write_table(folder / name, some)
    made = extract(
        folder / "home", backbone=network, preprocess="tf", views=1, features=folder / "features"
    ).files[0].path  # fmt: skip
    return Hospitals(folder, fit(made, "logreg", runs=folder / "runs").runs[0])


def changed(hospitals: Hospitals, name: str, change: Callable[[Image.Image], Image.Image]) -> None:
    """The other hospital's images, each changed."""
    for path in sorted((hospitals.folder / "away").rglob("*.png")):
        place = hospitals.folder / name / path.relative_to(hospitals.folder / "away")
        place.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            change(image.convert("L")).save(place)
    shutil.copy(hospitals.folder / "away" / "metadata.csv", hospitals.folder / name)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "inverted": ImageOps.invert,
    "cropped": lambda image: image.crop((75, 75, 225, 225)),
    "darkened": lambda image: image.point(lambda grey: grey * 0.35),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_images_raise_the_gap_and_the_share_that_is_unlike_and_are_told_apart(
    hospitals: Hospitals, name: str
) -> None:
    plain = hospitals.tried("away")
    assert plain.gap.accuracy_ci is not None
    assert plain.gap.accuracy_ci[0] <= 0 <= plain.gap.accuracy_ci[1]
    changed(hospitals, name, CHANGES[name])
    found = hospitals.tried(name)
    assert found.gap.accuracy is not None
    assert plain.gap.accuracy is not None
    assert found.gap.accuracy < plain.gap.accuracy
    assert found.out_of_distribution.share > 3 * plain.out_of_distribution.share
    assert all(one.auroc_ci is not None and one.auroc_ci[0] > 0.9 for one in found.apart.values())


def test_a_planted_image_in_another_format_and_a_planted_patient_are_found(hospitals: Hospitals) -> None:
    home, away = hospitals.folder / "home", hospitals.folder / "planted"
    shutil.copytree(hospitals.folder / "away", away)
    ours, theirs = table(home), table(away)
    picture = next(row for row in ours if row["label"] == "COVID")
    with Image.open(home / picture["image"]) as image:
        image.convert("L").resize((280, 280)).save(away / "COVID" / "planted.jpg", quality=85)
    person = next(row["patient_id"] for row in ours if row["label"] == "NORMAL" and row["patient_id"])
    theirs.append(theirs[0] | {"image": "COVID/planted.jpg", "label": "COVID", "patient_id": ""})
    planted = next(row for row in theirs if row["label"] == "NORMAL")
    planted["patient_id"] = person
    write_table(away, theirs)
    seen = {one["image"]: one for one in validate(hospitals.run, away, features=hospitals.folder / "features")
            .validated[0].seen}  # fmt: skip
    assert seen["COVID/planted.jpg"]["how"].startswith("near")
    assert seen[planted["image"]]["how"] == "same patient"
    assert len(seen) == 2


def test_conformal_sets_hold_the_class_as_often_as_asked_over_fifty_splits(features: Path) -> None:
    covered = []
    with FeatureFile(features) as file:
        X, y, groups = file.arrays(0)
        for seed in range(50):
            (fold,) = file.split(seed, by="group").folds
            training = TrainingSet(
                X[fold.train][:, None], y[fold.train], X[fold.validation], y[fold.validation], file.classes
            )
            head = fit_head(HeadSpec(kind="logreg"), training).head
            said = [head.predict_proba(X[rows]) for rows in (fold.validation, fold.test)]
            sets = conformal(y[fold.validation], said[0], groups[fold.validation], file.classes, 0.9).sets(said[1])
            covered.append(coverage_of(sets, y[fold.test], groups[fold.test], file.classes)["coverage"])
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02), f"{np.mean(covered):.4f}"


def size_of_sets(hospitals: Hospitals, folder: Path) -> float:
    found = predict(hospitals.run, folder, coverage=0.9, features=hospitals.folder / "features").predictions
    return float(np.mean([len(one.classes or ()) for one in found]))


def test_sets_grow_on_phantoms(hospitals: Hospitals, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "set", PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=10, size=299))
    assert size_of_sets(hospitals, tmp_path / "set") > size_of_sets(hospitals, hospitals.folder / "away")


def test_sets_grow_on_photographs_of_noise(hospitals: Hospitals, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(rng.integers(0, 256, (299, 299), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    assert size_of_sets(hospitals, tmp_path) > size_of_sets(hospitals, hospitals.folder / "away")

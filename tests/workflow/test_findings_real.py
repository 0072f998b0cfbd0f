"""Findings of real X-rays, whose table is drawn here and so known: what is read, left out, counted and scored."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import norm

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.finding import ABSENT, NOT_STATED, PRESENT, UNCERTAIN, finding_counts
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Selection
from cxrfeat.reporting.findings import findings_tables
from cxrfeat.workflow.extract import Extraction, extract
from cxrfeat.workflow.findings import fit_findings
from tests.stub import StubFactory

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("same_user")]

CHANCE = {"Atelectasis": 0.2, "Cardiomegaly": 0.15, "Effusion": 0.3, "Mass": 0.1, "Nodule": 0.5}
"""Findings drawn by chance, and how often: no feature knows of them."""
PLANTED, RARE = "Infiltration", "Hernia"
NAMES = (*CHANCE, RARE, PLANTED)  # as they are sorted, and as a list has them
IMAGES = 1200


@dataclass(frozen=True)
class Drawn:
    """A folder as NIH's, images without classes, and what was drawn of them."""

    folder: Path
    table: Path
    """A column of each finding: 1, 0, -1 uncertain, empty."""
    states: dict[str, tuple[int, ...]]
    """Of `NAMES`, by the digest of the image's bytes."""
    auroc: float
    """How well the brightness, by which the planted finding was drawn, tells it."""

    def extract(self, selection: Selection, features: Path, stub: StubFactory) -> Extraction:
        return extract(
            self.folder, selection=selection, features=features, make_engine=stub, backbone="resnet50",
            weights="random", size=32, views=1,
        )  # fmt: skip


@pytest.fixture(scope="module")
def drawn(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    rng = np.random.default_rng(19)
    ours = shared / "data" / "cxr299"
    with (ours / "metadata.csv").open(newline="") as opened:
        lines = list(csv.DictReader(opened))
    assert len(lines) == IMAGES
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "nih" / "images").mkdir(parents=True)
    paths = [folder / "nih" / "images" / f"{number:08}_000.png" for number in range(1, IMAGES + 1)]
    bright = np.empty(IMAGES)
    for place, (line, path) in enumerate(zip(lines, paths, strict=True)):
        shutil.copyfile(ours / line["image"], path)
        with Image.open(path) as image:
            bright[place] = np.asarray(image.convert("L").resize((32, 32)), np.float64).mean()
    bright = (bright - bright.mean()) / bright.std()
    columns = [(rng.random(IMAGES) < often).astype(int) for often in CHANCE.values()]
    columns += [(np.arange(IMAGES) % 400 == 0).astype(int), (bright + rng.normal(size=IMAGES) > 0.5).astype(int)]
    states = np.column_stack(columns)
    states[rng.random(states.shape) < 0.05] = UNCERTAIN
    states[rng.random(states.shape) < 0.1] = NOT_STATED
    patients = [line["patient_id"] or f"alone-{place}" for place, line in enumerate(lines)]
    cells = {PRESENT: "1.0", ABSENT: "0", UNCERTAIN: "-1", NOT_STATED: ""}
    table = folder / "table.csv"
    write(
        table,
        ("image", "patient_id", *NAMES),
        ([f"images/{path.name}", patient, *(cells[int(state)] for state in row)]
         for path, patient, row in zip(paths, patients, states, strict=True)),
    )  # fmt: skip
    write(
        folder / "nih" / "Data_Entry_2017.csv",
        ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"),
        ([path.name, listed(row), patient, 50, "F", "PA"]
         for path, patient, row in zip(paths, patients, states, strict=True)),
    )  # fmt: skip
    by_bytes = {
        sha256(path.read_bytes()).hexdigest(): tuple(row) for path, row in zip(paths, states.tolist(), strict=True)
    }
    return Drawn(folder / "nih", table, by_bytes, expected_auroc(bright, norm.cdf(bright - 0.5)))


def write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])


def listed(states: NDArray[np.int64]) -> str:
    """As NIH's table has it, which knows no doubt."""
    return "|".join(name for name, state in zip(NAMES, states, strict=True) if state == PRESENT) or "No Finding"


def expected_auroc(score: NDArray[np.float64], chance: NDArray[np.float64]) -> float:
    """Of what is present in each image by this chance, over all pairs of two images."""
    chance = chance[np.argsort(score)]
    absent = 1 - chance
    outranked = chance @ (np.cumsum(absent) - absent)
    return float(outranked / (chance.sum() * absent.sum() - chance @ absent))


def test_a_table_with_doubts_and_gaps_is_scored_by_what_is_known(
    drawn: Drawn, stub: StubFactory, tmp_path: Path
) -> None:
    selection = Selection(metadata=drawn.table, published="none", findings=NAMES)
    manifest = index_folder(drawn.folder, selection)
    states = np.array(list(drawn.states.values()))
    assert finding_counts(manifest.finding_names, [row.findings for row in manifest.rows]) == {
        name: {
            word: int(np.count_nonzero(of == state))
            for word, state in (
                ("present", PRESENT), ("absent", ABSENT), ("uncertain", UNCERTAIN), ("not_stated", NOT_STATED),
            )
        }
        for name, of in zip(NAMES, states.T, strict=True)
    }  # fmt: skip
    path = drawn.extract(selection, tmp_path, stub).files[0].path
    document = fit_findings(path).to_dict()
    with FeatureFile(path) as file:
        states = np.array([drawn.states[one] for one in file.content_sha256])
        test = file.split().folds[0].test
        groups = file.groups
    runs = {run["target"]: run for run in document["runs"]}
    assert set(runs) == {*NAMES} - {RARE}
    for name, run in runs.items():
        of = states[:, NAMES.index(name)]
        known = of[test][of[test] >= ABSENT]
        assert run["unknown"] == np.count_nonzero(of < ABSENT)
        assert run["test"]["images"] == len(known)
        assert run["test"]["groups"] == len(np.unique(groups[test][of[test] >= ABSENT]))
        assert run["test"]["prevalence"] == pytest.approx((known == PRESENT).mean(), abs=1e-12)
    (unscored,) = document["not_scored"]
    assert unscored["target"] == RARE
    assert "it is present in" in unscored["why"]
    low, high = runs[PLANTED]["test"]["auroc_ci"]
    assert 0.5 < low < drawn.auroc < high
    ends = [runs[name]["test"]["auroc_ci"] for name in CHANCE]
    assert sum(low < 0.5 < high for low, high in ends) >= len(CHANCE) - 1, "each holds 95 times in 100"
    (mean,) = document["macro"]
    assert mean["findings"] == len(runs)
    assert mean["auroc"] == pytest.approx(np.mean([run["test"]["auroc"] for run in runs.values()]))
    low, high = mean["auroc_ci"]
    assert low < (drawn.auroc + 0.5 * len(CHANCE)) / (1 + len(CHANCE)) < high
    (shown, *_) = findings_tables(document)
    assert [row[0] for row in shown.rows][: len(runs)] == [name for name in NAMES if name != RARE]


def test_the_published_table_gives_other_findings_of_the_same_features(
    drawn: Drawn, stub: StubFactory, tmp_path: Path
) -> None:
    manifest = index_folder(drawn.folder)
    assert manifest.published is not None
    assert manifest.published[0] == "nih"
    drawn.extract(Selection(metadata=drawn.table, published="none", findings=NAMES), tmp_path, stub)
    assert stub.rows == IMAGES
    path = drawn.extract(Selection(), tmp_path, stub).files[0].path
    assert stub.rows == IMAGES, "a table computes nothing"
    with FeatureFile(path) as file:
        states = np.array([drawn.states[one] for one in file.content_sha256])
        assert file.finding_names == tuple(sorted(NAMES))
        order = [NAMES.index(name) for name in file.finding_names]
        np.testing.assert_array_equal(file.findings, states[:, order] == PRESENT)
        assert set(file.classes) == {"Finding", "No Finding"}

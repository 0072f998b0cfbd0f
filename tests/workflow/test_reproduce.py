from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.image.index import index_folder
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.reporting.paper import ROWS, find_rows
from cxrfeat.reporting.reproduction import columns_table, confusion_table, plan_table, reproduction_table
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.reproduce import Cost, Options, Reproduction, Step, estimate, measure, plan, reproduce
from tests.stub import StubFactory

CHEAP = Options(rows=("DN-V0", "DN-V1", "scratch"), limit=12, epochs=1, views=2, weights="random")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    write_phantoms(folder, PhantomSpec(patients_per_class=10, images_per_patient=1, size=64))
    return folder


def test_the_table_is_the_studys() -> None:
    assert len(ROWS) == 14
    for row in ROWS:
        if row.confusion is not None:
            matrix = np.array(row.confusion)
            assert matrix.sum(axis=1).tolist() == [235, 244, 241]
            assert round(np.trace(matrix) / 720, 4) == pytest.approx(
                row.test_accuracy, abs=1.5e-4
            )  # it cuts where we round, row.name
    assert [row.head for row in ROWS[:4]] == ["softmax", "softmax", "dense", "dropout"]
    assert [row.name for row in ROWS if row.tuned] == [
        "DN-V3", "ResNet-FT", "VGG16-FT", "InceptionV3-FT", "Xception-FT", "CNN from scratch"
    ]  # fmt: skip


def test_rows_are_found_by_name_and_a_wrong_name_is_told_the_nearest() -> None:
    assert [row.name for row in find_rows(["scratch", "DN-v3"])] == ["DN-V3", "CNN from scratch"]
    assert len(find_rows([])) == 14
    with pytest.raises(UsageError, match=r"no row 'VGG-FT'. Did you mean VGG16-FT\?"):
        find_rows(["VGG-FT"])


def test_a_plan_shares_extractions_and_says_what_it_does(data: Path) -> None:
    planned = plan(data, Options())
    assert planned.counts == {"COVID": 10, "NORMAL": 10, "PNEUMONIA": 10}
    assert len(planned.steps) == 14 + 8, "each of the eight frozen rows is done a second time as it should have been"
    # Raw pixels for DenseNet, featurewise for six networks, and each network's own preprocessing for five.
    assert len(planned.extractions) == 1 + 6 + 5
    assert not planned.comparable
    assert "10 images of each class" in planned.notes[0]
    proper = [step.extraction for step in planned.steps if step.protocol == "proper"]
    assert {one.backbone: one.size for one in proper}["xception"] == 299
    assert all(step.extraction.size == 224 for step in planned.steps if step.protocol == "paper")
    assert "leaks" in plan(data, Options(split="paper")).notes[-1]


def test_the_data_s_own_split_is_kept_and_one_image_without_a_part_is_left_out(
    data: Path, stub: StubFactory, tmp_path: Path
) -> None:
    parted = Path(shutil.copytree(data, tmp_path / "parted"))
    lines = (parted / "metadata.csv").read_text().splitlines()
    parts = itertools.cycle(("train", "train", "test", "validation"))
    rows = [f"{line},{next(parts) if place else ''}" for place, line in enumerate(lines[1:])]
    (parted / "metadata.csv").write_text("\n".join([f"{lines[0]},split", *rows]) + "\n")
    given = {row.content_sha256: str(row.split or "none") for row in index_folder(parted).rows}
    options = Options(rows=("DN-V1",), epochs=1, views=2, weights="random")
    made = reproduce(parted, options, features=tmp_path / "features", runs=tmp_path / "runs", make_engine=stub)
    assert any("own split is kept" in note for note in made.plan.notes)
    assert [step.protocol for step, _ in made.made] == ["paper", "proper"]
    tested = {sha for sha, part in given.items() if part == "test"}
    for step, run in made.made:
        told = dict(zip(run.table("split.csv")["content_sha256"], run.table("split.csv")["part"], strict=True))
        assert told == given, step.row.name
        found = run.table("predictions.csv")
        assert {
            sha for sha, part in zip(found["content_sha256"], found["part"], strict=True) if part == "test"
        } == tested
        assert any("1 of 30 images" in note and "left out of train" in note for note in run.info["notes"])
    assert "dropped parts" in {one.check for one in made.audit if one.refused}
    assert "is not used, since group was asked for" in plan(parted, replace(options, split="group")).notes[-1]
    assert not any("own split" in note for note in plan(data, options).notes)


def test_the_studys_way_takes_features_as_they_are_and_the_proper_one_standardises(data: Path) -> None:
    for step in plan(data, Options()).steps:
        paper = step.protocol == "paper"
        assert step.head.standardize is not paper
        assert replace(step.head, kind="dropout", views_per_epoch=None) == HeadSpec(
            kind="dropout", standardize=not paper
        ), "all else is the protocol"


def test_a_class_too_many_can_be_left_out(data: Path) -> None:
    planned = plan(data, Options(classes=("COVID", "NORMAL")))
    assert planned.counts == {"COVID": 10, "NORMAL": 10}
    assert planned.selection.classes == ("COVID", "NORMAL")


def test_figures_are_comparable_on_the_studys_own_data_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrfeat.workflow.reproduce.CLASSES", {"covid": 10, "normal": 10, "pneumonia": 10})
    monkeypatch.setattr("cxrfeat.workflow.reproduce.PER_CLASS", 10)
    assert plan(data, Options()).comparable
    for other in ({"limit": 9}, {"epochs": 2}, {"weights": "random"}):
        assert not plan(data, replace(Options(), **other)).comparable


def test_three_cheap_rows_end_to_end(data: Path, tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []

    def tell(step: Step, run: Run) -> None:
        told.append((step.row.name, step.protocol))

    made = reproduce(data, CHEAP, features=tmp_path / "features", runs=tmp_path / "runs", tell=tell)
    assert told == [
        ("DN-V0", "paper"), ("DN-V0", "proper"), ("DN-V1", "paper"), ("DN-V1", "proper"), ("CNN from scratch", "paper")
    ]  # fmt: skip
    assert len(list((tmp_path / "features").glob("*.h5"))) == 3, "rows did not share their features"
    document = json.loads(json.dumps(made.to_dict()))
    for run in document["runs"]:
        assert run["test"]["groups"] < LEAST_GROUPS
        assert run["test"]["accuracy_ci"] is None
        assert run["paper_inside"] is None
    assert document["runs"][-1]["history"]["val_loss"][-1] is not None
    assert document["runs"][0]["training"]["loss"] is None, "DN-V0 was trained"
    assert document["audit"][0]["status"] != "pass"
    table = reproduction_table(document)
    assert "RANDOM WEIGHTS" in table.title
    assert [row[0] for row in table.rows] == ["DN-V0", "DN-V1", "CNN from scratch"]
    assert [row[5] for row in table.rows] == ["-"] * 3, "without an interval nothing lies inside or outside"
    assert "no interval" in table.title
    assert len(columns_table(document).rows) == 3 + 5
    assert confusion_table(document).rows[0][1] == "235 0 0 / 244 0 0 / 241 0 0"
    # Again, without being told what: everything stands, nothing is computed.
    again = reproduce(data, resume=True, features=tmp_path / "features", runs=tmp_path / "runs")
    assert [run.path for _, run in again.made] == [run.path for _, run in made.made]


def test_a_study_value_inside_our_interval_is_called_so(data: Path, tmp_path: Path, stub: StubFactory) -> None:
    options = Options(rows=("DN-V0",), limit=10, epochs=1, views=1, weights="random")
    made = reproduce(
        data, options, features=tmp_path / "features", runs=tmp_path / "runs", make_engine=stub
    )  # fmt: skip
    plan, test = replace(made.plan, comparable=True), made.made[0][1].info["test"]
    assert Reproduction(plan=plan, made=made.made).to_dict()["runs"][0]["paper_inside"] is None, "too few groups"
    for interval, inside in (([0.3, 0.4], True), ([0.4, 0.5], False)):
        test["accuracy_ci"] = interval
        comparable = Reproduction(plan=plan, made=made.made).to_dict()
        assert comparable["runs"][0]["paper_inside"] is inside, "the paper has 0.3264"
        assert comparable["runs"][1]["paper_inside"] is None, "the paper did it otherwise"
        assert reproduction_table(comparable).rows[0][5] == ("inside" if inside else "outside")


def test_the_cost_is_reckoned_from_measured_rates(data: Path) -> None:
    planned = plan(data, replace(CHEAP, rows=("scratch",)))
    costs = measure(planned, seconds=0.05)
    assert costs["scratch", 224].forward > costs["scratch", 224].training  # type: ignore[operator]  # it is tuned
    rows = estimate(planned, {("scratch", 224): Cost(forward=10.0, training=2.0)})
    assert [row["images"] for row in rows] == [30, 22 + 4 + 30]
    assert [row["seconds"] for row in rows] == [3.0, 11.0 + 3.4]
    document: dict[str, Any] = {"parts": rows, "images": planned.counts, "seconds": 17.4}
    assert plan_table(document).rows[-1][-1] == "17 s"


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"rows": ("VGG",)}, UsageError, "There is no row 'VGG'"),
        ({"per_class": 11}, InputError, "The most that every class has is 10"),
    ],
)
def test_bad_input(data: Path, tmp_path: Path, options: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        reproduce(data, replace(CHEAP, **options), features=tmp_path / "features", runs=tmp_path / "runs")


def test_bad_options(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`split` is group, or paper"):
        Options(split="date")
    with pytest.raises(UsageError, match="`weights` is imagenet or random"):
        Options(weights="mine.h5")
    with pytest.raises(InputError, match=r"no reproduction to resume in .*Leave `resume` out"):
        reproduce(data, resume=True, runs=tmp_path / "runs")
    with pytest.raises(UsageError, match="`resume` takes the options"):
        reproduce(data, CHEAP, resume=True, runs=tmp_path / "runs")


@pytest.mark.slow
def test_all_fourteen_rows_end_to_end(tmp_path: Path) -> None:
    """As `cxrfeat reproduce --limit 30 --epochs 1 --weights random`, with an image that cannot be used."""
    data = tmp_path / "data"
    write_phantoms(data, PhantomSpec(patients_per_class=30, images_per_patient=1, size=64, broken=2))
    options = Options(limit=30, epochs=1, views=2, weights="random")
    made = reproduce(data, options, features=tmp_path / "features", runs=tmp_path / "runs")
    document = made.to_dict()
    assert len(document["runs"]) == 22
    assert [row[0] for row in reproduction_table(document).rows] == [row.name for row in ROWS]
    for run in document["runs"]:
        assert run["test"]["images"] == document["runs"][0]["test"]["images"]
        assert run["split"]["by"] in ("group", "bound")

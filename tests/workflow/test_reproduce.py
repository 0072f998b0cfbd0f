from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.image.index import index_folder
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.reporting.paper import ROWS
from cxrfeat.reporting.plan import Options, Step, plan
from cxrfeat.reporting.reproduction import columns_table, confusion_table, reproduction_table
from cxrfeat.run.folder import Run
from cxrfeat.workflow.reproduce import Reproduction, rehearse, reproduce
from tests.run.reading import cells, run_json
from tests.stub import StubFactory

CHEAP = Options(rows=("DN-V0", "DN-V1", "scratch"), limit=12, epochs=1, views=2, weights="random")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    write_phantoms(folder, PhantomSpec(patients_per_class=10, images_per_patient=1, size=64))
    return folder


@pytest.mark.slow
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
        told = dict(zip(cells(run, "split.csv")["content_sha256"], cells(run, "split.csv")["part"], strict=True))
        assert told == given, step.row.name
        found = cells(run, "predictions.csv")
        assert {
            sha for sha, part in zip(found["content_sha256"], found["part"], strict=True) if part == "test"
        } == tested
        assert any("1 of 30 images" in note and "left out of train" in note for note in run_json(run)["notes"])
    assert "dropped parts" in {one.check for one in made.audit if one.refused}
    assert "is not used, since group was asked for" in plan(parted, replace(options, split="group")).notes[-1]
    assert not any("own split" in note for note in plan(data, options).notes)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_value_of_the_papers_inside_our_interval_is_called_so(data: Path, tmp_path: Path, stub: StubFactory) -> None:
    options = Options(rows=("DN-V0",), limit=10, epochs=1, views=1, weights="random")
    made = reproduce(
        data, options, features=tmp_path / "features", runs=tmp_path / "runs", make_engine=stub
    )  # fmt: skip
    plan, ((step, run), *others) = replace(made.plan, comparable=True), made.made
    assert Reproduction(plan=plan, made=made.made).to_dict()["runs"][0]["paper_inside"] is None, "too few groups"
    for interval, inside in (((0.3, 0.4), True), ((0.4, 0.5), False)):
        document = replace(run.document, test=replace(run.document.test, accuracy_ci=interval))
        sure = replace(run, document=document)
        comparable = Reproduction(plan=plan, made=((step, sure), *others)).to_dict()
        assert comparable["runs"][0]["paper_inside"] is inside, "the paper has 0.3264"
        assert comparable["runs"][1]["paper_inside"] is None, "the paper did it otherwise"
        assert reproduction_table(comparable).rows[0][5] == ("inside" if inside else "outside")


@pytest.mark.slow
def test_a_rehearsal_says_what_would_be_done_and_how_long_and_does_nothing(data: Path, tmp_path: Path) -> None:
    told = rehearse(data, replace(CHEAP, rows=("scratch",)))
    assert told["rows"] == [{"row": "CNN from scratch", "protocol": "paper"}]
    assert told["seconds"] == sum(part["seconds"] for part in told["parts"]) > 0
    assert not told["comparable"]
    assert json.loads(json.dumps(told)) == told
    assert not list(tmp_path.iterdir())


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
        Options(split="date")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError, match="`weights` is imagenet or random"):
        Options(weights="mine.h5")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InputError, match=r"no reproduction to resume in .*Omit `resume`"):
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

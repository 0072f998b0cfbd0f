from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.cli.again import WORDS
from cxrfeat.errors import InputError, IntegrityError, StorageError, UsageError
from cxrfeat.reporting.shrink import LIMIT
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow import report as recipe
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.report import report
from tests.reporting.reports import made, runs_of, two_runs
from tests.run.golden import golden
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_runs(tmp_path_factory.mktemp("first"))


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    """`features/f.h5`, and two runs of it in `runs/`, which a test may change."""
    return Path(shutil.copytree(first, tmp_path, dirs_exist_ok=True))


def test_a_report_has_curves_maps_copies_and_counts_of_the_runs(folder: Path) -> None:
    found = made(folder)
    assert found.path.read_bytes().startswith(b"<!doctype html>")
    assert found.size == found.path.stat().st_size < LIMIT
    (data,) = found.content.data
    assert [run.summary["run"] for run in data.runs] == [run["run"] for run in data.comparison["runs"]]
    accuracies = [run.summary["test"]["accuracy"] for run in data.runs]
    assert accuracies == sorted(accuracies, reverse=True)
    for run in data.runs:
        # A class has four groups among the test images, and a band takes eight.
        assert all(curve is not None and set(curve["low"]) == {None} for curve in run.roc.values())
        assert sum(run.calibration["counts"]) == run.summary["test"]["images"]
    (shown,) = data.maps
    assert shown.places.shape == (80, 2)
    assert len(set(shown.tiles)) == 80
    assert sum("test" in words for words in shown.words) == data.runs[0].summary["test"]["images"]
    wrong = sum(shown.wrong)
    assert wrong == round((1 - accuracies[0]) * data.runs[0].summary["test"]["images"])
    (copy,) = data.copies or ()
    assert copy.tiles == (shown.tiles[0], shown.tiles[1])
    assert copy.how == "The same pixels in another file."
    assert data.counts is not None
    assert data.counts.rows[-1][:2] == ("all", "80")
    told = found.to_dict()
    assert json.loads(json.dumps(told))["data"][0]["feature_maps"] == [80]
    assert told["pictures"] is True


def test_without_images_there_is_no_picture_and_the_points_are_there_still(folder: Path) -> None:
    found = made(folder, images=False)
    page = found.path.read_text()
    assert "data:image" not in page
    assert not found.content.pictured
    assert page.count('class="dot ') > 80
    assert "images=False" in found.content.command
    again = made(folder, images=False, words=WORDS)
    assert "--no-images" in again.content.command
    assert "`" not in again.content.command


def test_a_damaged_feature_file_stops_the_report(folder: Path) -> None:
    path = folder / "features" / "f.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="damaged"):
        made(folder)
    assert not (folder / "report.html").exists()


def test_runs_of_other_data_are_kept_apart(folder: Path) -> None:
    other = make_features(folder / "features" / "other.h5", pictures=True, seed=5)
    alone = fit(other, [HeadSpec(kind="ridge")], runs=folder / "runs").runs[0]
    found = made(folder)
    assert len(found.content.data) == 2
    (note,) = found.content.notes
    assert "2 different data sets" in note
    page = found.path.read_text()
    assert page.index(note) < page.index("Data set 1 of 2") < page.index("Data set 2 of 2")
    by_runs = {len(data.runs): data for data in found.content.data}
    assert by_runs[1].runs[0].summary["run"] == alone.name
    assert by_runs[1].comparison["comparisons"] == []
    assert [one["b"] for one in by_runs[2].comparison["comparisons"]] == [by_runs[2].runs[1].summary["run"]]


def test_a_run_given_twice_is_shown_once(folder: Path) -> None:
    run = runs_of(folder)[0]
    found = report([run, run], out=folder / "report.html", features=folder / "features")
    assert len(found.content.data[0].runs) == 1


def test_cross_validated_runs_have_a_page_too(folder: Path) -> None:
    path = folder / "features" / "f.h5"
    fit(path, [HeadSpec(kind="logreg")], runs=folder / "runs", fold_count=3, repeats=2)
    assert (
        "out-of-fold" in made(folder).path.read_text()
        or "not tested on the same images" in made(folder).path.read_text()
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("redact", [False, True])
def test_the_command_of_the_page_names_what_is_not_as_usual_and_no_place(
    redact: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    runs = [read_run(path.relative_to(folder)) for path in sorted((folder / "runs").iterdir())]
    usual = report(runs, redact=redact, words=WORDS).content.command
    assert not any(option in usual for option in ("--features", "--runs", "--network", "--out"))
    for name in ("features", "runs"):
        (folder / f"mine/{name}-2").parent.mkdir(exist_ok=True)
        (folder / name).rename(folder / f"mine/{name}-2")
    runs = [read_run(path) for path in sorted((folder / "mine/runs-2").iterdir())]
    network = folder / "net.keras"
    told = report(runs, out="mine/p.html", features="mine/features-2", network=network, redact=redact, words=WORDS)
    words = told.content.command.split()
    assert words[-8:] == [
        "--network", "net.keras", "--out", "p.html" if redact else "mine/p.html",
        "--features", "features-2" if redact else "mine/features-2", "--runs", "runs-2",
    ]  # fmt: skip
    assert str(folder) not in told.path.read_text()


def test_what_cannot_be_reported_is_said_before_any_work(folder: Path) -> None:
    with pytest.raises(UsageError, match="at least one run"):
        report([], out=folder / "report.html")
    with pytest.raises(InputError, match=r"There is no folder .*nowhere to write report.html into. Make it"):
        report(runs_of(folder), out=folder / "nowhere" / "report.html")
    with pytest.raises(InputError, match=r"is a folder; `out` needs the name of a file, such as .*report\.html"):
        report(runs_of(folder), out=folder)


def test_a_page_that_could_not_be_written_is_said_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("cxrfeat.system.files.os.write", refuse)
    monkeypatch.setattr(recipe, "side_by_side", lambda *_: pytest.fail("it was worked for"))
    with pytest.raises(StorageError, match="That file system is read-only: choose another folder"):
        made(folder)


def test_data_of_other_images_are_refused(folder: Path, phantoms: Path) -> None:
    with pytest.raises(InputError, match=r"is not the data of these runs: it holds none of their \d+ test images"):
        made(folder, data=phantoms)
    assert not (folder / "report.html").exists()


@pytest.mark.few(1)
@pytest.mark.parametrize("file", ["predictions.csv", "history.csv", "split.csv"])
def test_a_damaged_run_is_named(file: str, folder: Path) -> None:
    run = runs_of(folder)[0]
    (run.path / file).write_text("nothing\n1\n")
    with pytest.raises(IntegrityError, match=re.escape(file)):
        made(folder)
    shutil.rmtree(run.path)
    made(folder)


def test_a_fine_tuned_run_has_a_page_without_a_map(folder: Path) -> None:
    run = runs_of(folder)[0]
    told = replace(
        run.document,
        kind="finetune",
        head="softmax, fine-tuned",
        features=replace(run.document.features, file=None),
        finetune=golden("finetune").document.finetune,
    )
    found = report([Run(run.path, told, run.files)], out=folder / "report.html", features=folder / "features")
    (data,) = found.content.data
    assert data.maps == ()
    assert "a network that was fine-tuned keeps no features" in data.notes[0]
    assert "softmax, fine-tuned on stub" in found.path.read_text()


@pytest.mark.slow
def test_a_page_shows_the_learning_curve_that_is_asked_for(tmp_path: Path) -> None:
    path = make_features(tmp_path / "features" / "f.h5", groups=60, per_group=1, distance=0.8, pictures=True)
    runs = fit(path, "ridge", fold_count=3, runs=tmp_path / "runs").runs
    asked: dict[str, Any] = {"out": tmp_path / "report.html", "features": tmp_path / "features"}
    made = report(runs, sizes=[0.1, 0.2, 0.5, 1], wanted_width=0.04, **asked)
    (data,) = made.content.data
    assert data.curve is not None
    assert data.curve["points"][-1]["accuracy"] == pytest.approx(runs[0].document.test.accuracy)
    assert len(data.curve["fitted"]) == 6
    page = made.path.read_text(encoding="utf-8")
    for text in ("Would more images help?", "patients needed", "intervals 0.04 wide", data.curve["sentence"]):
        assert text in page
    assert "sizes=[0.1, 0.2, 0.5, 1]" in made.content.command
    assert report(runs, **asked).content.data[0].curve is None
    (out,) = fit(path, "ridge", source_out=True, runs=tmp_path / "runs").runs
    without = report(out, sizes=1.0, **asked).content.data[0]
    assert without.curve is None
    assert any(note.startswith("No learning curve: ridge was not fitted by fit-head on one") for note in without.notes)

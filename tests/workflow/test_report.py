from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.cli.again import WORDS
from cxrfeat.errors import InputError, IntegrityError, MissingExtraError, StorageError, UsageError
from cxrfeat.explaining.job import Question
from cxrfeat.explaining.together import explain_together
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Header, ImageRow
from cxrfeat.reporting import copies, feature_map
from cxrfeat.reporting import heat as heating
from cxrfeat.reporting.naming import names_of
from cxrfeat.reporting.shrink import LIMIT
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import FinetuneSpec, HeadSpec, to_dict
from cxrfeat.types import Progress
from cxrfeat.workflow import report as recipe
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.report import report
from tests.workflow.helpers import make_features


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`features/f.h5`, and two runs of it in `runs/`."""
    path = make_features(tmp_path / "features" / "f.h5", pictures=True)
    fit(path, [HeadSpec(kind="logreg"), HeadSpec(kind="softmax")], runs=tmp_path / "runs")
    return tmp_path


def runs_of(folder: Path) -> list[Run]:
    return [read_run(path) for path in sorted((folder / "runs").iterdir())]


def made(folder: Path, **options: Any) -> recipe.Report:
    return report(runs_of(folder), out=folder / "report.html", features=folder / "features", **options)


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


def test_a_pair_of_copies_has_both_names_and_says_whose_and_in_which_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [f"{max(index, 1):064x}" for index in range(80)]
    path = make_features(tmp_path / "features" / "f.h5", contents=contents, pictures=True)
    fit(path, [HeadSpec(kind="logreg")], runs=tmp_path / "runs")
    header = Header(format="PNG", suffix=".png", width=9, height=9, bits=8, mode="L", file_bytes=9)
    names = ("COVID/1.png", "COVID/copy of 1.png")
    same = [ImageRow(path=name, label="COVID", content_sha256=contents[0], header=header) for name in names]
    monkeypatch.setattr(recipe, "names_of", lambda _, *, redact: names_of(same, redact=redact))
    with FeatureFile(path) as file:
        ids = file.image_ids
    monkeypatch.setattr(copies, "read_patients", lambda _: dict.fromkeys(ids[:2], "p"))
    (tmp_path / "features" / "blobs.manifest.csv").touch()
    (copy,) = made(tmp_path).content.data[0].copies or ()
    assert copy.names == names
    assert copy.how == "The same file. Of one patient."
    (data,) = made(tmp_path, redact=True).content.data
    (copy,) = data.copies or ()
    assert len(set(copy.names)) == 2, "and both ids"


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


def test_the_small_pictures_are_those_of_the_file(folder: Path) -> None:
    import io
    from base64 import b64decode

    from PIL import Image

    (data,) = made(folder).content.data
    assert data.tiles is not None
    sheet = np.asarray(Image.open(io.BytesIO(b64decode(data.tiles.address.split(",")[1]))), dtype=np.float64)
    with FeatureFile(folder / "features" / "f.h5") as file:
        portraits = file.content.columns["portrait"].astype(np.float64)
    for row in (0, 41, 79):
        down, across = divmod(data.maps[0].tiles[row], data.tiles.columns)
        tile = sheet[down * 40 : down * 40 + 40, across * 40 : across * 40 + 40]
        assert np.corrcoef(tile.ravel(), portraits[row].ravel())[0, 1] > 0.9


def test_a_feature_file_that_is_gone_is_noted_and_the_rest_is_told(folder: Path) -> None:
    (folder / "features" / "f.h5").unlink()
    found = made(folder)
    (data,) = found.content.data
    assert data.maps == ()
    assert data.copies is None
    assert "No feature map and no search for copies for stub: f.h5 is not in features" in data.notes[0]
    assert data.notes[0] in found.path.read_text()
    assert len(data.notes) == 1, "two runs of one file are one note"


def test_a_feature_file_of_other_data_is_not_taken_for_theirs(folder: Path) -> None:
    make_features(folder / "features" / "f.h5", pictures=True, seed=5)
    assert "f.h5 was made again since, of other data" in made(folder).content.data[0].notes[0]


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


def test_a_map_shows_so_many_images_and_says_of_how_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_map, "POINTS", 30)
    found = made(folder)
    assert len(found.content.data[0].maps[0].words) == 30
    assert "30 of 80 images, drawn by chance" in found.path.read_text()
    again = made(folder)
    assert again.content.data[0].maps[0].words == found.content.data[0].maps[0].words


def test_a_map_may_keep_neighbours_in_place_of_distances(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(folder)
    found = made(folder, projection="tsne")
    (shown,) = found.content.data[0].maps
    assert shown.places.shape == (80, 2)
    assert not np.allclose(shown.places, plain.content.data[0].maps[0].places)
    assert "by t-SNE: neighbours are kept" in found.path.read_text()
    assert "projection='tsne'" in found.content.command
    assert "projection" not in plain.content.command
    monkeypatch.setattr(recipe, "side_by_side", lambda *_: pytest.fail("it was worked for"))
    monkeypatch.setattr(feature_map, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cxrfeat\[umap\]'"):
        made(folder, projection="umap")
    with pytest.raises(UsageError, match="`projection` lays features out by pca, tsne, umap; got 'mds'"):
        made(folder, projection="mds")


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


def test_too_many_images_are_not_searched_for_copies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LOOKED_THROUGH", 10)
    (data,) = made(folder).content.data
    assert data.copies is None
    assert "80 images are too many to search for copies here: run `cxrfeat audit`." in data.notes


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
    with pytest.raises(InputError, match=r"is not the data of these runs: of their \d+ test images it holds none"):
        made(folder, data=phantoms)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize("file", ["predictions.csv", "history.csv", "split.csv"])
def test_a_damaged_run_is_named(file: str, folder: Path) -> None:
    run = runs_of(folder)[0]
    (run.path / file).write_text("nothing\n1\n")
    with pytest.raises(IntegrityError, match=re.escape(file)):
        made(folder)
    shutil.rmtree(run.path)
    made(folder)


def test_a_run_that_does_not_say_its_data_is_damaged(folder: Path) -> None:
    run = runs_of(folder)[0]
    with pytest.raises(IntegrityError, match="does not say of which data it is"):
        report([Run(run.path, {**run.info, "identity": {}})], out=folder / "report.html")


def test_a_fine_tuned_run_has_a_page_without_a_map(folder: Path) -> None:
    run = runs_of(folder)[0]
    info = {**run.info, "kind": "finetune", "head": "softmax, fine-tuned"}
    info["features"] = {**run.info["features"], "file": None}
    info["finetune"] = {
        "spec": to_dict(FinetuneSpec(head=HeadSpec(kind="softmax"))),
        "head_from": "mine",
        "file": "x.h5",
    }
    found = report([Run(run.path, info)], out=folder / "report.html", features=folder / "features")
    (data,) = found.content.data
    assert data.maps == ()
    assert "a network that was fine-tuned keeps no features" in data.notes[0]
    assert "softmax, fine-tuned on stub" in found.path.read_text()


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory, phantoms: Path, tiny_network: Path) -> Path:
    """`data/`, and three runs of its features by a small network."""
    folder = tmp_path_factory.mktemp("explained")
    shutil.copytree(phantoms, folder / "data")
    features = folder / "features"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXRFEAT_CACHE", str(folder / "cache"))
        patch.setenv("CXRFEAT_CONFIG", str(folder / "config"))
        made = extract(
            folder / "data", backbone=str(tiny_network), preprocess="tf", views=1, size=32, features=features
        )
    heads = [HeadSpec(kind="logreg"), HeadSpec(kind="ridge")]
    fit(made.files[0].path, heads, runs=folder / "runs")
    fit(made.files[0].path, heads[:1], runs=folder / "runs", fold_count=2)
    return folder


@pytest.fixture
def user(explained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache and the salt that the features were made with."""
    monkeypatch.setenv("CXRFEAT_CACHE", str(explained / "cache"))
    monkeypatch.setenv("CXRFEAT_CONFIG", str(explained / "config"))


def single(folder: Path) -> list[Run]:
    return [run for run in runs_of(folder) if run.info["itself_tested"]]


@pytest.mark.usefixtures("user")
def test_data_bring_heat_maps_of_test_images_and_names(explained: Path, tmp_path: Path) -> None:
    runs, out = single(explained), tmp_path / "page.html"
    found = report(runs, out=out, data=explained / "data", features=explained / "features")
    (data,) = found.content.data
    tested = {key for run in runs for key, part in zip(*split_of(run), strict=True) if part == "test"}
    names = {row.path for row in index_folder(explained / "data").rows if row.content_sha256 in tested}
    for run in data.runs:
        assert run.heat is not None
        assert {one.caption for one in run.heat.pictures} <= names
        assert len(run.heat.pictures) == min(heating.SHOWN, len(tested)), "of copies one"
        assert [one.right for one in run.heat.pictures] == sorted(one.right for one in run.heat.pictures), "wrong first"
        assert {one.image[:22] for one in run.heat.pictures} == {"data:image/jpeg;base64"}
        assert all(one.image != one.overlay for one in run.heat.pictures)
        assert run.heat.judged == run.heat.tested == len(tested)
        assert run.heat.behind == f"all {len(tested)} test images"
        assert {one["check"] for one in run.heat.findings} >= {"hot corner", "heat in lungs"}
    page = out.read_text()
    assert f"Over all {len(tested)} test images" in page
    assert page.index("hot corner") < page.index("Test scores")
    assert all(one.caption in page for one in data.runs[0].heat.pictures)  # type: ignore[union-attr]  # asserted above
    of_content: dict[str, list[str]] = {}
    for row in index_folder(explained / "data").rows:
        of_content.setdefault(row.content_sha256, []).append(row.path)  # copies are shown by the name of one of them
    for key in tested:
        assert any(path in words for path in of_content[key] for words in data.maps[0].words)
    assert str(explained) not in page


@pytest.mark.usefixtures("user")
def test_redacted_and_without_images_no_path_is_told(explained: Path, tmp_path: Path) -> None:
    run, out = single(explained)[:1], tmp_path / "page.html"
    paths = [row.path for row in index_folder(explained / "data").rows]
    told = report(run, out=out, data=explained / "data", features=explained / "features", redact=True)
    assert told.content.data[0].runs[0].heat is not None
    page = out.read_text()
    assert not any(path in page or Path(path).name in page for path in paths)
    with FeatureFile(next((explained / "features").glob("*.h5"))) as file:
        assert any(image_id in page for image_id in file.image_ids)
    bare = report(run, out=out, data=explained / "data", features=explained / "features", images=False)
    heat = bare.content.data[0].runs[0].heat
    assert heat is not None
    assert (heat.pictures, heat.means) == ((), ())
    assert not bare.content.pictured
    assert "data:image" not in out.read_text()
    assert html.escape(heat.findings[0]["why"]) in out.read_text(), "judged all the same"
    assert any(path in out.read_text() for path in paths)


@pytest.mark.usefixtures("user")
def test_what_is_odd_about_heat_maps_is_noted_and_a_run_without_its_network_too(
    explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossed = [run for run in runs_of(explained) if not run.info["itself_tested"]]
    out = tmp_path / "page.html"
    found = report(crossed, out=out, data=explained / "data", features=explained / "features")
    (data,) = found.content.data
    assert data.runs[0].heat is not None
    assert any("fitted on all images" in note for note in data.runs[0].heat.notes)
    assert data.runs[0].heat.notes[0] in html.unescape(out.read_text())
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path / "empty"))
    runs = single(explained)
    found = report(runs, out=out, data=explained / "data", features=explained / "features", explained=1)
    assert f"No heat maps of {found.content.data[0].runs[0].summary['run']}" in found.content.data[0].notes[0]
    assert "Heat maps are of the best run" in found.content.data[0].notes[1]


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("redact", [False, True])
def test_why_there_is_no_heat_map_names_no_place_of_this_machine(
    redact: bool, explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = tmp_path / "page.html", explained / "data"
    image = next(data.rglob("*.png"))

    def refuse(runs: Sequence[Run], *_: Any) -> list[InputError]:
        return [InputError(f"{image} cannot be read.") for _ in runs]

    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path / "empty"))
    for said in ("its network is not where it was", "its test images cannot be used"):
        told = report(
            single(explained)[:1], out=out, data=data, features=explained / "features", redact=redact, explained=1
        )
        page = out.read_text()
        assert said in told.content.data[0].notes[0]
        assert html.escape(said) in page
        assert not any(str(place) in page for place in (tmp_path, explained))
        assert image.name not in page or not redact
        assert len(told.notes) == 1
        assert str(tmp_path / "empty") in told.notes[0] or str(image) in told.notes[0], "whoever makes it is told all"
        monkeypatch.setattr(heating, "explain_together", refuse)


@pytest.mark.usefixtures("user")
def test_where_some_were_judged_the_page_says_of_how_many_and_how_they_were_chosen(
    explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = single(explained)[:1], tmp_path / "page.html"

    def occluded(runs: Sequence[Run], question: Question, progress: Progress | None) -> Any:
        return explain_together(runs, replace(question, method="occlusion"), progress)

    monkeypatch.setattr(heating, "SHOWN", 2)
    monkeypatch.setattr(heating, "explain_together", occluded)
    heat = report(run, out=out, data=explained / "data", features=explained / "features").content.data[0].runs[0].heat
    assert heat is not None
    assert (heat.judged, heat.tested > 2) == (2, True)
    said = f"2 of {heat.tested} test images, chosen half right and half wrong, as far as there are both"
    assert f"Judged on {said}." in out.read_text()
    assert "all test images" not in out.read_text()
    assert replace(heat, chosen="").behind == f"2 of {heat.tested} test images"


def split_of(run: Run) -> tuple[list[str], list[str]]:
    table = run.table("split.csv")
    return table["content_sha256"], table["part"]

from __future__ import annotations

import html
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import InputError
from cxrfeat.explaining.job import Question
from cxrfeat.explaining.together import explain_together
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.index import index_folder
from cxrfeat.reporting import heat as heating
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Progress
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.report import report
from tests.reporting.reports import runs_of
from tests.run.reading import cells


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
    return [run for run in runs_of(folder) if run.document.itself_tested]


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.usefixtures("user")
def test_what_is_odd_about_heat_maps_is_noted_and_a_run_without_its_network_too(
    explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossed = [run for run in runs_of(explained) if not run.document.itself_tested]
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


@pytest.mark.few(1)
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
    table = cells(run, "split.csv")
    return table["content_sha256"], table["part"]

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from cxrfeat.cli.console import marks, show
from cxrfeat.reporting.place import datasets_of
from cxrfeat.reporting.spark import ASCII, BLOCKS
from cxrfeat.reporting.table import Table
from cxrfeat.run.folder import read_run
from tests.cli.conftest import Cli
from tests.reporting.reports import two_runs
from tests.run.reading import run_json


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_runs(tmp_path_factory.mktemp("made"))


@pytest.fixture
def runs(made: Path, cli: Cli, tmp_path: Path) -> Path:
    """Two runs of made-up features, which stand in `features/`; a test may change them."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs"


def test_a_report_of_all_runs_is_written_and_its_place_is_said(cli: Cli, runs: Path) -> None:
    said = cli("report")
    assert said.code == 0, said.err
    assert said.out.startswith("2 of 2 runs failed their audit (within sources)"), "made-up features tell nothing"
    assert said.out.splitlines()[-2:] == ["report.html", "Research use only, never diagnosis."]
    assert "pictures of patients" in said.err
    page = Path("report.html").read_text(encoding="utf-8")
    assert all(run.name in page for run in runs.iterdir())
    assert str(Path.cwd()) not in page, "no path of this machine"


@pytest.mark.slow
def test_the_feature_map_may_be_laid_out_otherwise(cli: Cli, runs: Path) -> None:
    assert cli("report", "--map", "tsne", "--no-images").code == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert "by t-SNE" in page
    assert "--map tsne" in page


def test_a_report_as_json_is_one_document(cli: Cli, runs: Path) -> None:
    told = cli("report", "blobs-stub-logreg", "--no-images", "--out", "one.html", "--json")
    assert told.err == ""
    assert told.json["report"] == "one.html"
    assert told.json["bytes"] == Path("one.html").stat().st_size
    assert told.json["pictures"] is False
    (data,) = told.json["data"]
    assert len(data["runs"]) == 1
    assert data["copies"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 3, "There is no run 'nothing' in runs. There are, the nearest"),
        (["blobs"], 3, "'blobs' is the beginning of the names of 2 runs in runs; type more of it"),
        (["--runs", "nowhere"], 2, "A report takes at least one run, and there is none. Make one: `cxrfeat fit-head`"),
        (["--out", "nowhere/page.html"], 3, "There is no folder nowhere to write page.html into. Make it, or choose"),
        (["--out", "features"], 3, "features is a folder; --out needs the name of a file, such as features/report"),
        (["--data", "nowhere"], 3, "There is no folder 'nowhere'"),
        (["--data", "features"], 3, "'features' holds no images"),
        (["--map", "mds"], 2, "--map is pca, tsne or umap; got 'mds'"),
        (["--features", "nowhere"], 0, "f.h5 is not in nowhere. Say where it is with --features"),
    ],
)
def test_what_cannot_be_reported_is_said_in_a_sentence(
    arguments: list[str], code: int, message: str, cli: Cli, runs: Path
) -> None:
    said = cli("report", *arguments)
    assert said.code == code, said.err
    assert message in said.err
    assert Path("report.html").exists() is (code == 0)


def test_data_of_other_images_are_refused(cli: Cli, runs: Path, data: Path) -> None:
    said = cli("report", "--data", data)
    assert said.code == 3
    assert "is not the data of these runs" in said.err
    assert not Path("report.html").exists()


def test_a_damaged_run_is_an_integrity_error(cli: Cli, runs: Path) -> None:
    for file, damage in (("predictions.csv", "x"), ("run.json", "{")):
        place = next(runs.iterdir()) / file
        whole = place.read_bytes()
        place.write_text(damage)
        said = cli("report")
        assert said.code == 5, file
        assert file in said.err
        assert not Path("report.html").exists()
        place.write_bytes(whole)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_a_storage_error(cli: Cli, runs: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    said = cli("report", "--out", "locked/page.html")
    assert said.code == 7
    assert "You may not write there: choose another folder" in said.err


def test_a_disk_that_refuses_leaves_the_old_page(cli: Cli, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("page.html").write_text("old")

    def refuse(handle: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        said = cli("report", "--out", "page.html")
    assert said.code == 7
    assert "The disk is full: free some space" in said.err
    assert Path("page.html").read_text() == "old"


@pytest.mark.slow
def test_a_page_of_other_data_is_not_replaced(cli: Cli, runs: Path) -> None:
    assert cli("report", "--quiet").out.splitlines()[-2] == "report.html"
    page = Path("report.html").read_text(encoding="utf-8")
    dataset = str(run_json(read_run(next(runs.iterdir())))["dataset"])
    assert datasets_of(Path("report.html")) == {dataset}
    assert cli("report", "--quiet").out.splitlines()[-2] == "report.html", "the same data"
    for other in (page.replace(f"data {dataset}<", "data images-2<"), "<title>my own page</title>"):
        Path("report.html").write_text(other, encoding="utf-8")
        said = cli("report")
        assert said.out.splitlines()[-2] == "report-2.html"
        assert "report.html is a page about other data and is kept: this one is report-2.html" in said.err
        assert Path("report.html").read_text(encoding="utf-8") == other
    assert not Path("report-3.html").exists(), "it was the page of these data"


class Terminal(io.TextIOWrapper):
    """A terminal of some encoding, which keeps what is written."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("encoding", "wanted"), [("utf-8", BLOCKS), ("ascii", ASCII), ("latin-1", ASCII)])
def test_curves_are_blocks_on_a_terminal_that_can_write_them(
    encoding: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal(encoding))
    assert marks() == wanted


@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_terminal_would_obey_is_shown_as_its_code_everywhere_in_a_table(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "A\x1b]0;B\x07\nC\tD"
    table = Table(title=f"of {evil}", columns=("class", evil), rows=((evil, "1"),))
    wanted = r"A\x1b]0;B\x07\nC\tD"
    if terminal:
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "200")
        screen = Terminal("utf-8")
        monkeypatch.setattr(sys, "stdout", screen)
        show(table)
        screen.flush()
        out = screen.buffer.getvalue().decode()  # type: ignore[attr-defined]  # it is a BytesIO
        out = re.sub(r"\x1b\[[0-9;]*m", "", out)  # what makes the title bold
    else:
        show(table)
        out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\x07", "\r"}
    assert sum(wanted in line for line in out.splitlines()) == 2, "the head and the row, each of one line"
    assert r"of A\x1b]0;B\x07" in out


def test_curves_and_confusion_matrices_are_plain_ascii_when_piped(cli: Cli, runs: Path) -> None:
    for command in (("compare",), ("fit-head", "--head", "softmax", "--epochs", "4")):
        said = cli(*command)
        assert said.code == 0
        assert "Training: first value, the epochs, last value" in said.out
        assert re.search(r"softmax +\d+ +\d\.\d{3} [_.\-=+*%#]+ \d\.\d{3}", said.out)
        assert re.search(r"as COVID +as NORMAL", said.out)
        assert re.search(r"COVID +\d+ +\d+% ", said.out)
        assert said.out.isascii()

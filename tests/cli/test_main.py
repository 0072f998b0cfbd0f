from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cxrfeat import __version__, errors
from cxrfeat.cli import main
from cxrfeat.cli.main import run
from cxrfeat.feature.work import Work
from cxrfeat.workflow import extract
from tests.cli.conftest import RANDOM, Cli, use_engine
from tests.stub import StubEngine


def raising(error: BaseException) -> Any:
    def make_engine(*arguments: object) -> NoReturn:
        raise error

    return make_engine


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2), (errors.SpecError, 2), (errors.MissingExtraError, 2),
        (errors.InputError, 3), (errors.StaleFeaturesError, 3), (errors.SplitError, 3), (errors.WeightsError, 3),
        (errors.QuarantineError, 4), (errors.IntegrityError, 5), (errors.LockedError, 6), (errors.StorageError, 7),
        (errors.AuditError, 8),
    ],
)  # fmt: skip
def test_every_error_is_one_sentence_and_its_exit_code(
    kind: type[errors.CxrFeatError], code: int, cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch, raising(kind("What, why, and what to do.")))
    said = cli("extract", *RANDOM)
    assert (said.code, said.out, said.err) == (code, "", "cxrfeat: What, why, and what to do.\n")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Interrupted. What was finished is kept; run the same command again to continue"),
        (main._Terminated(), 143, "Terminated. What was finished is kept; run the same command again to continue"),
        (OSError(28, "No space left on device"), 7, "The system refused: .*No space left"),
    ],
)
def test_interruptions_say_how_to_continue(
    error: BaseException, code: int, message: str, cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch, raising(error))
    said = cli("extract", *RANDOM)
    assert said.code == code
    assert said.out == ""
    assert re.search(message, said.err)


def test_what_nobody_expected_is_reported_without_a_traceback(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    use_engine(monkeypatch, raising(RuntimeError("odd")))
    assert run(["extract", *RANDOM]) == 1
    said = capsys.readouterr().err
    assert "RuntimeError: odd" in said
    assert "CXRFEAT_DEBUG=1" in said
    assert "Traceback" not in said
    monkeypatch.setenv("CXRFEAT_DEBUG", "1")
    with pytest.raises(RuntimeError, match="odd"):
        run(["extract", *RANDOM])


def test_sigterm_ends_with_143_and_the_finished_shards_stay(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cxrfeat", "extract", *RANDOM[:-1], "128"])

    class Killed(StubEngine):
        def run(self, views: Any) -> Any:
            if self.rows >= 512:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().run(views)

    use_engine(monkeypatch, Killed)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as caught:
            main.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 143
    assert "run the same command again to continue" in capsys.readouterr().err
    assert not list((tmp_path / "features").glob("*.h5"))
    use_engine(monkeypatch, StubEngine)
    made = extract.extract(
        data, backbone="resnet50", weights="random", size=32, views=128, features=tmp_path / "features"
    )
    assert made.files[0].rows_reused > 0, "the same command continues"
    assert made.files[0].rows_computed > 0


def test_a_second_writer_is_kept_out(cli: Cli, features: Path, data: Path) -> None:
    (data / "COVID" / "images").rename(data / "COVID" / "pictures")  # so that there is something to do
    (data / "metadata.csv").unlink()
    with Work(features.resolve()):
        said = cli("extract", *RANDOM)
    assert said.code == 6
    assert f"is being written by process {os.getpid()} on " in said.err
    assert "run the same command again; what it finished is kept" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--quux"], ["quux"], ["extract", "--quux"], ["extract", "--views", "many"], ["predict"], ["verify"],
        ["predict", "run"], ["index", "a", "b"], ["weights", "quux"], ["fit-head", "--folds"],
        ["compare", "--seed", "x"], ["extract", "--seed", "-1"], ["fit-head", "--seed", "-1"],
        ["verify", "x", "--seed", "-1"], ["compare", "--seed", "99999999999999999999"],
    ],
)  # fmt: skip
def test_a_command_line_that_makes_no_sense_is_a_usage_error(arguments: list[str], cli: Cli) -> None:
    said = cli(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert "Error: " in said.err


def test_the_version_and_the_help_go_to_stdout(cli: Cli) -> None:
    assert cli("--version").out == f"cxrfeat {__version__}\n"
    said = cli("--help")
    assert said.code == 0
    assert "Research use only, never diagnosis" in said.out
    assert said.err == ""


def test_a_reader_that_leaves_is_no_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cxrfeat.cli.index.print_json", raising(BrokenPipeError(32, "Broken pipe")))
    turned: list[int] = []
    monkeypatch.setattr(os, "dup2", lambda _, to: turned.append(to))
    out, err = sys.stdout, sys.stderr
    try:
        assert run(["index", "--json", "--quiet"]) == 0
    finally:
        sys.stdout, sys.stderr = out, err
    assert capsys.readouterr().err == ""
    assert turned == [1], "what is still buffered goes nowhere"

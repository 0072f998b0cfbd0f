"""The command as a process of its own: signals, terminals, pipes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cxrfeat.feature.file import FeatureFile
from tests.cli.conftest import RANDOM

STUBBED = """
import inspect, sys, time
from cxrfeat.workflow import extract
from tests.stub import StubEngine
inspect.unwrap(extract.extract).__kwdefaults__["make_engine"] = lambda *given: StubEngine(*given, pause=0.02)
from cxrfeat.cli.main import main
main()
"""
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cxrfeat"]


def start(folder: Path, command: Sequence[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def shards(folder: Path) -> list[Path]:
    return [path for path in folder.glob("features/.*.work/*-*") if not path.name.startswith(".")]


def interrupted(folder: Path, command: Sequence[str], number: signal.Signals) -> subprocess.Popen[str]:
    """Start the command, and send the signal once two shards are committed."""
    process = start(folder, command)
    until = time.monotonic() + 60
    while len(shards(folder)) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be interrupted"
    process.send_signal(number)
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupted_extraction_says_how_to_continue_and_does(
    number: signal.Signals, code: int, data: Path, tmp_path: Path
) -> None:
    extract = [sys.executable, "-c", STUBBED, "extract", *RANDOM[:-1], "128"]
    process = interrupted(tmp_path, extract, number)
    sent = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - sent < 2
    assert process.returncode == code
    assert out == ""
    assert "What was finished is kept; run the same command again to continue." in err
    assert "Traceback" not in err
    kept = len(shards(tmp_path))
    assert kept >= 2
    assert not list(tmp_path.glob("features/*.h5"))
    assert not list(tmp_path.rglob(".cxrfeat-tmp-*"))
    quick = [one.replace("pause=0.02", "pause=0") for one in extract]
    again = start(tmp_path, [*quick, "--quiet"])
    err = again.communicate(timeout=60)[1]
    assert again.returncode == 0, err
    with FeatureFile(next(tmp_path.glob("features/*.h5"))) as file:
        assert file.views == 128
    assert shards(tmp_path) == []
    start(tmp_path, [*quick, "--quiet", "--features", "whole"]).communicate(timeout=60)
    (continued,), (whole,) = tmp_path.glob("features/*.h5"), tmp_path.glob("whole/*.h5")
    assert continued.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_a_file_that_grows_too_large_is_a_storage_error_and_nothing_is_lost(data: Path, tmp_path: Path) -> None:
    extract = [sys.executable, "-c", STUBBED.replace("pause=0.02", "pause=0"), "extract", *RANDOM[:-1], "64"]
    script = "ulimit -f 40; exec " + shlex.join(extract)  # in units of 1024 bytes: shards fit, the file does not
    process = start(tmp_path, ["bash", "-c", script])
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 7, err
    assert "File too large" in err
    assert "choose another folder, or raise the limit" in err
    assert not list(tmp_path.glob("features/*.h5"))
    assert not list(tmp_path.rglob(".cxrfeat-tmp-*"))
    again = start(tmp_path, [*extract, "--json"])
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert json.loads(out)["files"][0]["rows_computed"] == 0, "every shard was kept"


@pytest.mark.slow
def test_a_real_network_can_be_interrupted_too(data: Path, tiny_network: Path, tmp_path: Path) -> None:
    command = [*COMMAND, "extract", "--backbone", str(tiny_network), "--preprocess", "tf", "--views", "1024"]
    process = interrupted(tmp_path, command, signal.SIGINT)
    err = process.communicate(timeout=20)[1]
    assert process.returncode == 130, err
    assert err.endswith("cxrfeat: Interrupted. What was finished is kept; run the same command again to continue.\n")
    assert "Traceback" not in err


def on_a_terminal(folder: Path, *arguments: str, columns: int = 100, no_color: str = "") -> tuple[int, str]:
    """Run a command with both streams on a terminal; its exit code, and what stood there."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdin=follower, stdout=follower, stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "NO_COLOR": no_color},
    )  # fmt: skip
    os.close(follower)
    said = b""
    while True:
        ready, _, _ = select.select([leader], [], [], 30)
        try:
            block = os.read(leader, 65536) if ready else b""
        except OSError:  # Linux's word for "the other end is closed"
            block = b""
        if not block:
            break
        said += block
    os.close(leader)
    return process.wait(timeout=20), said.decode(errors="replace")


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d)(?:;\d+)*m")


@pytest.mark.slow
def test_colours_are_for_terminals_and_no_color_turns_them_off(data: Path, tmp_path: Path) -> None:
    (data / "COVID" / "text.png").write_text("not an image")
    code, said = on_a_terminal(tmp_path, "index")
    assert code == 0
    assert "\x1b[" in said
    code, said = on_a_terminal(tmp_path, "index", no_color="1")
    assert code == 0
    assert not COLOUR.search(said)


@pytest.mark.slow
def test_a_narrow_terminal_folds_and_loses_nothing(data: Path, tmp_path: Path) -> None:
    (data / "metadata.csv").unlink()
    name = "a-very-long-name-of-a-file-that-is-no-image-at-all-and-does-not-fit.png"
    (data / "COVID" / name).write_text("not an image")
    code, said = on_a_terminal(tmp_path, "index", columns=40)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    cells = "".join(line[1:].split("  ")[0].strip() for line in plain.splitlines())
    assert f"COVID/{name}" in cells


def test_a_reader_that_leaves_ends_the_command_quietly(data: Path, tmp_path: Path) -> None:
    script = f'set -o pipefail; "{sys.executable}" -m cxrfeat index --quiet | head -1'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "data: what is there\n"
    assert done.stderr == ""


def test_a_closed_or_full_stdout_gives_no_traceback(data: Path, tmp_path: Path) -> None:
    for redirection, code in ((">&-", 0), ("2>&-", 0), (">/dev/full", 7)):
        script = f'"{sys.executable}" -m cxrfeat index --quiet {redirection}'
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, redirection
        assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr


def test_control_characters_in_a_name_do_not_reach_the_terminal(data: Path, tmp_path: Path) -> None:
    (data / "metadata.csv").unlink()
    (data / "COVID" / "\x1b[31mred\nline.png").write_text("not an image")
    done = subprocess.run([*COMMAND, "index"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert r"COVID/\x1b[31mred\nline.png" in done.stdout
    assert "\x1b" not in done.stdout

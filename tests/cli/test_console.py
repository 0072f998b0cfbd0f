"""Progress: on stderr, with an estimate once it means something, whatever goes to stdout."""

from __future__ import annotations

import inspect
import io
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrfeat.cli import console
from cxrfeat.cli.console import show
from cxrfeat.reporting.table import Table
from tests.cli.conftest import RANDOM, Cli
from tests.test_pace import Clock


def left_of(line: str) -> float:
    """Seconds that a line says are left."""
    amount, unit = re.findall(r"([\d.]+) (s|min|h) left", line)[0]
    return float(amount) * {"s": 1, "min": 60, "h": 3600}[unit]


def lines_of(steps: Iterator[tuple[float, int, int]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is printed where each step takes so many seconds and tells so much of so much."""
    clock = Clock()
    tell = console._lines("images", clock)
    for seconds, done, total in steps:
        clock.at += seconds
        tell("heat maps", done, total)
    return capsys.readouterr().err.splitlines()


def test_no_line_of_a_job_of_eight_minutes_is_far_off_though_the_first_image_loads_a_network(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One image after 55 s, then four a second: by the mean since the start the first line said hours."""
    steps = ((55.0 if done == 1 else 0.25, done, 1910) for done in range(1, 1911))
    lines = lines_of(steps, capsys)
    assert "left" not in lines[0], "there is no estimate after one image"
    told = [line for line in lines if "left" in line]
    assert len(told) > 40
    for line in told:
        done = int(re.findall(r"(\d+) of 1910", line)[0])
        assert left_of(line) == pytest.approx((1910 - done) / 4, rel=0.05, abs=31), line


def test_the_rate_is_the_recent_one(capsys: pytest.CaptureFixture[str]) -> None:
    steps = ((0.1 if done < 1000 else 1.0, done, 2000) for done in range(1, 1200))
    assert left_of(lines_of(steps, capsys)[-1]) == pytest.approx(800, rel=0.1)


def test_rows_that_stood_already_are_not_taken_for_speed(capsys: pytest.CaptureFixture[str]) -> None:
    steps = ((1.0, done, 1000) for done in range(900, 960))
    line = lines_of(steps, capsys)[-1]
    assert "1.0 images/s" in line
    assert left_of(line) == pytest.approx(1000 - int(re.findall(r"(\d+) of", line)[0]), abs=2)


def test_networks_that_take_turns_keep_their_rates(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    tell = console._lines("views", clock)
    for done in range(1, 61):
        for name in ("densenet121", "resnet50"):
            clock.at += 0.5
            tell(name, done, 100)
    assert "1.0 views/s" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("data")
def test_json_keeps_its_progress_on_stderr(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_PLAIN_EVERY", 0.0)
    for words in (["index", "data"], ["extract", "data", *RANDOM], ["fit-head", "--head", "softmax"]):
        said = cli(*words, "--json")
        assert said.json, "one document, and nothing else, on stdout"
        assert said.err, words
        assert cli(*words, "--json", "--quiet").err == "", "--quiet is still quiet"


def test_no_command_hides_its_progress_under_json() -> None:
    from cxrfeat.cli import main

    for command in main.app.registered_commands:
        assert command.callback is not None
        module = inspect.getmodule(command.callback)
        assert module is not None
        assert not re.search(r"quiet=[^,)]*\bjson\b", inspect.getsource(module)), command.callback.__name__


def test_a_command_to_paste_stands_unbroken_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    path = "a-long-folder-name/" * 6 + "my data"
    command = f"cxrfeat audit '{path}' --cache features/f.h5 --mitigate"
    finding = {"check": "thumbnail", "status": "fail", "why": "Why.", "images": ["a.png"]}
    console.show_audit([{**finding, "do": f"See what helps: {command}"}], everything=True)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:3] == ["FAIL  thumbnail: Why. (a.png) See what helps:", command]
    console.show_audit([{**finding, "do": "Balance the sexes between the classes."}])
    assert capsys.readouterr().out.splitlines()[1].endswith("Why. Balance the sexes between the classes.")


@pytest.mark.parametrize("words", [("index",), ("audit",), ("extract", *RANDOM)])
def test_to_say_more_and_less_at_once_is_refused(cli: Cli, data: Path, words: tuple[str, ...]) -> None:
    assert data.is_dir()
    said = cli(*words, "--verbose", "--quiet")
    assert (said.code, said.out) == (2, "")
    assert "leave one of them out" in said.err


@pytest.mark.parametrize("words", [("index",), ("audit",)])
def test_commands_that_read_images_say_who_prepares_them(cli: Cli, data: Path, words: tuple[str, ...]) -> None:
    assert data.is_dir()
    said = cli(*words, "-v", "--json")
    assert said.json
    assert said.err.count("Chosen: Images are prepared by ") == 1
    assert logging.getLogger("cxrfeat.choice").handlers == []


def test_rows_that_are_computed_again_say_who_prepares_their_images(cli: Cli, features: Path) -> None:
    said = cli("verify", features, "--recompute", "3", "--data", "data", "-v")
    assert said.code == 0
    assert "Chosen: Images are prepared by " in said.err
    assert cli("verify", features, "-v", "--quiet").code == 2


def test_rows_that_say_little_are_grey_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    show(Table(title="t", columns=("value",), rows=(("many",), ("few *",)), grey=frozenset({1})))
    many, few = (line for line in terminal.getvalue().splitlines() if "many" in line or "few" in line)
    assert "\x1b[2m" in few
    assert "\x1b[2m" not in many

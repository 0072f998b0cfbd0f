from __future__ import annotations

import re

import pytest

from cxrfeat.spec import HEAD_KINDS
from tests.cli.conftest import Cli


def titles(text: str) -> list[str]:
    """What stands above groups of options."""
    return re.findall(r"^(\S.*):$", text, re.MULTILINE)


def test_the_options_of_a_head_stand_under_the_heads_that_they_are_of(cli: Cli) -> None:
    said = cli("fit-head", "--help").out
    assert titles(said) == [
        "Arguments", "Options", "Many machines", "Every head", "Networks (softmax, dense, dropout)", "Other heads",
        "Split and test", "Images", "Curves", "Files", "Output",
    ]  # fmt: skip
    of = dict(zip(titles(said), re.split(r"^\S.*:$", said, flags=re.MULTILINE)[1:], strict=True))
    assert "--epochs" in of["Networks (softmax, dense, dropout)"]
    assert "--strength" in of["Other heads"]
    assert re.search(r"--class-weights .none\|balanced.", of["Every head"])
    assert f"--head <all|all+controls|{'|'.join(HEAD_KINDS)}>" in of["Options"]


@pytest.mark.parametrize("command", ["extract", "finetune", "fit-head", "audit", "weights list"])
def test_help_fits_into_the_terminal(command: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (80, 100, 300):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = [line for line in cli(*command.split(), "--help").out.splitlines() if "<" not in line]
        assert max(map(len, lines)) <= min(columns, 100)
        assert not [line for line in lines if line.endswith("-")], "names such as svm-linear are not broken"


def test_the_list_of_commands_ends_no_line_in_dots(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in cli("--help").out.split("Commands:")[1]

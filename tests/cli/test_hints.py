"""Whatever a message recommends exists: every option that any of them names is one of some command."""

from __future__ import annotations

import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import cxrfeat
from cxrfeat.cli.main import app
from cxrfeat.cli.words import option_of

PACKAGE = Path(cxrfeat.__file__).parent
SPLITTING = ("extract", "fit-head", "tune", "finetune", "audit", "index", "reproduce")
"""Commands in which a class can be too small to part, and which say so with `--classes`."""


def options() -> dict[str, set[str]]:
    """Each option with the commands that have it."""
    found: dict[str, set[str]] = defaultdict(set)
    pending: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while pending:
        name, command = pending.pop()
        pending += [(f"{name} {inner}".strip(), one) for inner, one in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                found[option].add(name)
    return found


def texts() -> Iterator[tuple[str, str]]:
    """Every piece of text in the package that is no docstring, with where it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                middle = token.type == getattr(tokenize, "FSTRING_MIDDLE", None)  # from Python 3.12 on
                if (token.type == tokenize.STRING and '"""' not in token.string) or middle:
                    yield f"{path.relative_to(PACKAGE)}:{token.start[0]}", token.string


def test_every_option_that_a_message_names_exists() -> None:
    known = options()
    named = 0
    for place, text in texts():
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", text):
            if option not in ("--version", "--no"):  # the beginning of one, before its name
                assert option in known, f"{place} recommends {option}"
                named += 1
    assert named > 200, "the messages were not found"


def test_every_field_that_a_message_names_is_an_option_of_some_command() -> None:
    known = options()
    for place, text in texts():
        for field in re.findall(r"`([a-z][a-z0-9_]*)(?:=[^`]*)?`", text):
            assert option_of(field) in known, f"{place} would say {option_of(field)}"


def test_a_class_can_be_left_out_wherever_that_is_recommended() -> None:
    assert set(SPLITTING) <= options()["--classes"]

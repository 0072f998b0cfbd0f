from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

import cxrfeat
from cxrfeat.cli.main import app
from cxrfeat.cli.words import as_typed, option_of
from tests.cli.conftest import Cli
from tests.sources import PACKAGE, sources
from tests.workflow.helpers import make_features


def options() -> set[str]:
    command: Any = typer.main.get_command(app)
    return {option for each in command.commands.values() for one in getattr(each, "params", ()) for option in one.opts}


def test_every_field_that_a_message_names_is_an_option_of_the_command_line() -> None:
    known, named = options(), set()
    for source in sources():
        for text in source.whole if source.path.parent.name != "cli" else ():
            named |= {
                (source.path.name, field)
                for field in re.findall(r"`((?:[A-Z]\w*\.)?[a-z][a-z0-9_]*)(?:=[^`]*)?`", text)
            }
    assert len(named) > 40
    assert {(name, field) for name, field in named if field != "0" and option_of(field) not in known} == set()


BELOW = [path for kind in ("*.py", "*.html") for path in sorted(PACKAGE.rglob(kind)) if "cli" not in path.parts]


def test_below_the_command_line_no_option_is_named() -> None:
    """Neither in a message nor in a docstring, a comment or a page: what a field is called there, `cli/` says."""
    named = [
        f"{path.relative_to(PACKAGE)}:{number}: {line}"
        for path in BELOW
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"(?<![\w-])--[a-z]", line)
    ]
    assert not named


def test_a_message_is_in_pythons_words_in_python_and_in_the_command_lines_words_there(cli: Cli, tmp_path: Path) -> None:
    with pytest.raises(cxrfeat.SpecError, match=r"^`learning_rate` is from 0 to 1000; got -1\."):
        cxrfeat.HeadSpec(kind="softmax", learning_rate=-1)
    with pytest.raises(cxrfeat.SpecError, match=r"^`strength` is above 0; got 0\."):
        cxrfeat.LogregHead(strength=0.0).fit([[0.0], [1.0]], [0, 1])
    file = make_features(tmp_path / "f.h5")
    with pytest.raises(cxrfeat.UsageError, match=r"^`fold_count` and `source_out` split"):
        cxrfeat.fit(file, "logreg", fold_count=3, source_out=True)
    for arguments, said in (
        (("--learning-rate", "-1"), "--learning-rate is from 0 to 1000; got -1."),
        (("--strength", "0"), "--strength is above 0; got 0."),
        (("--folds", "3", "--source-out"), "--folds and --source-out split the images in two ways."),
    ):
        answer = cli("fit-head", "f.h5", *arguments)
        assert answer.code in (2, 3)
        assert f"cxrfeat: {said}" in answer.err


def test_what_stands_in_backquotes_and_is_no_field_stays() -> None:
    for text in ("Run `cxrfeat index data`.", "`View.size()` is", "`` and `--views 8`", "`Name`"):
        assert as_typed(text) == text

"""Every document that a test has a command print with `--json` is held against that command's schema."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import typer.main
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from cxrfeat.call import said_in
from cxrfeat.cli import main
from cxrfeat.cli.hiding import command_line
from scripts.schema import closed, file_of, read


def commands() -> Iterator[tuple[str, Any]]:
    """Each command, as it is typed."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(main.app))]
    while pending:
        names, command = pending.pop(0)
        inner = getattr(command, "commands", None)
        if inner:
            pending += [((*names, name), one) for name, one in inner.items()]
        else:
            yield " ".join(names), command


def with_json() -> list[str]:
    """The commands that take `--json`."""
    return [name for name, one in commands() if any("--json" in parameter.opts for parameter in one.params)]


@functools.cache
def validator(command: str) -> Draft202012Validator:
    """Takes the documents of a command, and none with a key that its schema does not describe."""
    return Draft202012Validator(closed(read(file_of(command))))


def wrong(command: str, document: object) -> str:
    """What of a document is not as the schema says; empty if it is."""
    error = best_match(validator(command).iter_errors(document))
    if error is None:
        return ""
    place = "/".join(map(str, error.absolute_path)) or "the document"
    return f"cxrfeat {command} --json, at {place}: {error.message[:300]}. Describe it in {file_of(command).name}."


@contextmanager
def described() -> Iterator[None]:
    """Fail the test that has a command print a document which its schema does not describe."""
    typed = [""]

    def remembering(words: Sequence[str]) -> AbstractContextManager[None]:
        typed[0] = " ".join(words[:2] if words[:1] == ["weights"] else words[:1])
        return command_line(words)

    def checked(document: object, message: Any) -> Any:
        said = said_in(document, message)
        if file_of(typed[0]).is_file() and (error := wrong(typed[0], said)):
            pytest.fail(error)
        return said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrfeat.cli.main.command_line", remembering)
        patch.setattr("cxrfeat.cli.console.said_in", checked)
        yield

"""The only place that draws: tables and results on stdout, progress and notes on stderr, plain text off a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import textwrap
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cxrfeat.call import said_in
from cxrfeat.cli.words import as_typed
from cxrfeat.errors import CxrFeatError, UsageError
from cxrfeat.pace import Pace
from cxrfeat.reporting.audit import audit_table
from cxrfeat.reporting.table import Table

if TYPE_CHECKING:
    from logging import Handler, Logger

    from cxrfeat.types import Progress  # which loads NumPy

_PLAIN_EVERY = 10.0
"""Seconds between lines of progress where there is no terminal to draw a bar on."""


def print_json(document: object) -> None:
    """The one document of `--json`, with options where what it says names fields."""
    print(json.dumps(said_in(document, as_typed), indent=2, allow_nan=False))


def printable(text: str) -> str:
    """The text without control characters, which a file name may hold and a terminal would obey; each as its code."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)


def say(text: str) -> None:
    """A line of the result, on stdout."""
    print(printable(text))


def note(text: str, *, quiet: bool = False) -> None:
    """A line next to the result, on stderr."""
    if not quiet:
        print(printable(as_typed(text)), file=sys.stderr)


@contextlib.contextmanager
def noting(*, redact: bool = False, show: bool = True) -> Iterator[list[str]]:
    """Gather what the reading of data has to say, and say what could matter on stderr at once, also under `--quiet`.

    Args:
        redact: Leave the examples out, which name files and people.
        show: Say it; else it is only gathered, for a document, and said should the command fail.

    Yields:
        Every note once, the minor ones too, for `--json`.
    """
    import logging

    from cxrfeat.cli.options import shown_note
    from cxrfeat.image.note import LOGGER

    gathered: list[str] = []

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = as_typed(shown_note(record.getMessage(), redact=redact))
            if text in gathered:
                return
            gathered.append(text)
            if show and record.levelno >= logging.WARNING:
                note(f"Note: {text}")

    with _hearing(LOGGER, Said()):
        try:
            yield gathered
        except CxrFeatError:  # what was to be shown with the result is shown with its failure
            for text in () if show else gathered:
                note(f"Note: {text}")
            raise


@contextlib.contextmanager
def telling(*, verbose: bool, quiet: bool = False) -> Iterator[None]:
    """Say what is chosen meanwhile, each thing once, on stderr.

    Args:
        verbose: Whether to.
        quiet: Whether less is to be said than usual.

    Raises:
        UsageError: If both are asked for.
    """
    if verbose and quiet:
        raise UsageError("--verbose says more than usual and --quiet less: leave one of them out.")
    if not verbose:
        yield
        return
    import logging

    from cxrfeat.system.choice import LOGGER
    from cxrfeat.system.files import user_cache

    said: set[str] = set()

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text not in said:
                said.add(text)
                note(f"Chosen: {text}")

    note(f"Chosen: What is kept from one command to the next is in {user_cache()}.")
    with _hearing(LOGGER, Said()):
        yield


@contextlib.contextmanager
def _hearing(logger: Logger, handler: Handler) -> Iterator[None]:
    """Pass all that is logged to one handler, and to no other."""
    import logging

    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def show(table: Table | None) -> None:
    """Draw a table on stdout: with rules on a terminal, in aligned plain text elsewhere."""
    if table is None:
        return
    columns, *rows = (tuple(_in_line(cell) for cell in row) for row in (table.columns, *table.rows))
    table = replace(table, title=printable(table.title), columns=columns, rows=tuple(rows))
    if sys.stdout.isatty():
        _draw(table)
    else:
        _plain(table)


def _in_line(text: str) -> str:
    """`printable`, and of one line: a new line or a tab would break the table."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def marks() -> str:
    """What curves and bars are drawn with: blocks on a terminal that can write them, ASCII elsewhere."""
    from cxrfeat.reporting.spark import ASCII, BLOCKS

    if not sys.stdout.isatty():
        return ASCII
    try:
        BLOCKS.encode(sys.stdout.encoding)
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return BLOCKS


def show_audit(findings: Sequence[Mapping[str, Any]], *, everything: bool = False) -> None:
    """The checks that did not pass, above the scores: what is wrong, and what to do.

    Args:
        findings: As in the JSON documents.
        everything: Those that passed too, and some of the images they are about.
    """
    table = audit_table(findings, everything=everything)
    if table is not None:
        show_checks(table)


def show_failed(findings: Sequence[Mapping[str, Any]], run: str) -> None:
    """The checks that a run failed when it was fitted, above whatever it says now; nothing where it failed none.

    Args:
        findings: As `Run.failed_checks` gives them.
        run: Its name.
    """
    table = audit_table(findings)
    if table is not None:
        names = ", ".join(str(one["check"]) for one in findings)
        its = "their" if " of " in run else "its"
        show_checks(replace(table, title=f"{run} failed {its} audit ({names}): before you believe what follows"))


def _command(remedy: str) -> tuple[str, str]:
    """What to do, and the command to paste that it ends in, if it ends in one.

    Example:
        >>> _command("See what helps: cxrfeat audit 'my data' --mitigate.")
        ('See what helps:', "cxrfeat audit 'my data' --mitigate")
    """
    text, mark, command = remedy.rpartition(": cxrfeat ")
    return (f"{text}:", f"cxrfeat {command.rstrip('.')}") if mark else (remedy, "")


def show_checks(table: Table) -> None:
    """Checks with what they found, each in lines of its own, and remedies that can be pasted.

    Args:
        table: Rows of a verdict, a name, what was found, and what to do.
    """
    print(printable(table.title))
    colours = {"fail": "\033[1;31m", "warn": "\033[33m", "pass": "\033[32m"}
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for status, check, why, remedy in table.rows:
        remedy, command = _command(as_typed(remedy))
        said = printable(f"{check}: {as_typed(why)} {remedy}")
        text = textwrap.fill(
            said,
            width=100,
            initial_indent="  ",
            subsequent_indent="        ",
            break_on_hyphens=False,
            break_long_words=False,  # such as addresses and paths, which are pasted
        )
        if command:  # a line of its own, however long: what is broken cannot be pasted
            text += f"\n        {printable(command)}"
        shown = f"{colours[status]}{status.upper()}\033[0m" if colour else status.upper()
        print(f"  {shown}{text}")
    print()


def _draw(table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    styles = {"fail": "bold red", "warn": "yellow", "pass": "green"}
    drawn = RichTable(title=Text(table.title, style="bold"), title_justify="left", box=SIMPLE_HEAD)
    for index, column in enumerate(table.columns):
        drawn.add_column(Text(column), justify="right" if index in table.numeric else "left", overflow="fold")
    for place, row in enumerate(table.rows):
        cells = (Text(cell, style=styles.get(cell, "") if index == 0 else "") for index, cell in enumerate(row))
        drawn.add_row(*cells, style="dim" if place in table.grey else None)
    Console(no_color=bool(os.environ.get("NO_COLOR"))).print(drawn)


def _plain(table: Table) -> None:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    print(table.title)
    for line in lines:
        cells = [
            cell.rjust(width) if index in table.numeric else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    print()


@contextlib.contextmanager
def progress(unit: str, *, quiet: bool = False) -> Iterator[Progress | None]:
    """A callback that shows how far long work is, how fast it goes, and how long it will take.

    Args:
        unit: What is counted, for the rate.
        quiet: Show nothing.
    """
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar(unit) as callback:
            yield callback
    else:
        yield _lines(unit)


@contextlib.contextmanager
def _bar(unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
    ]
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, pace="")
        paces: defaultdict[str, Pace] = defaultdict(lambda: Pace(unit))  # of several networks, each has its own
        shown = None

        def tell(name: str, done: int, total: int) -> None:
            nonlocal shown
            pace = paces[name]
            pace.tell(done, total)
            if name != shown:
                bar.reset(task, total=total, description=name)
                shown = name
            bar.update(task, completed=done, total=total, description=name, pace=pace.words)

        yield tell


def _lines(unit: str, now: Callable[[], float] = time.monotonic) -> Progress:
    paces: defaultdict[str, Pace] = defaultdict(lambda: Pace(unit, now))
    said = now()

    def tell(name: str, done: int, total: int) -> None:
        nonlocal said
        pace = paces[name]
        pace.tell(done, total)
        if now() - said < _PLAIN_EVERY or not done:
            return
        said = now()
        # One step, such as loading a network, is no count.
        counted = "" if total == 1 else ", ".join(part for part in (f": {done} of {total}", pace.words) if part)
        print(f"{name}{counted}", file=sys.stderr, flush=True)

    return tell

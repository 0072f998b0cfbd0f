"""The only place that draws: tables and results on stdout, progress and notes on stderr, plain text off a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cxrfeat.report.table import Table, audit_table

Progress = Callable[[str, int, int], None]
_PLAIN_EVERY = 10.0
"""Seconds between lines of progress where there is no terminal to draw a bar on."""


def print_json(document: object) -> None:
    """The one document of `--json`."""
    print(json.dumps(document, indent=2, allow_nan=False))


def printable(text: str) -> str:
    """The text without control characters, which a file name may hold and a terminal would obey; each as its code."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)


def say(text: str) -> None:
    """A line of the result, on stdout."""
    print(printable(text))


def note(text: str, *, quiet: bool = False) -> None:
    """A line beside the result, on stderr."""
    if not quiet:
        print(printable(text), file=sys.stderr)


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
    from cxrfeat.report.spark import ASCII, BLOCKS

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
    if table is None:
        return
    print(printable(table.title))
    colours = {"fail": "\033[1;31m", "warn": "\033[33m", "pass": "\033[32m"}
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for status, check, why, remedy in table.rows:
        said = printable(f"{check}: {why} {remedy}")
        text = textwrap.fill(said, width=100, initial_indent="  ", subsequent_indent="        ")
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
    for row in table.rows:
        drawn.add_row(*(Text(cell, style=styles.get(cell, "") if index == 0 else "") for index, cell in enumerate(row)))
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
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    ]
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, rate="")
        clock = _Clock()

        def tell(name: str, done: int, total: int) -> None:
            rate = clock.rate(name, done)
            if clock.fresh:
                bar.reset(task, total=total, description=name)
            speed = f"{rate:.1f} {unit}/s" if total > 1 else ""
            bar.update(task, completed=done, total=total, description=name, rate=speed)

        yield tell


class _Clock:
    """How fast the thing now being done goes: its time runs from the end of the one before."""

    def __init__(self) -> None:
        self.fresh = False
        self._name = ""
        self._began = self._last = time.monotonic()

    def rate(self, name: str, done: int) -> float:
        self.fresh = name != self._name
        if self.fresh:
            self._name, self._began = name, self._last
        self._last = time.monotonic()
        return done / max(self._last - self._began, 1e-3)


def _lines(unit: str) -> Progress:
    clock = _Clock()
    said = time.monotonic()

    def tell(name: str, done: int, total: int) -> None:
        nonlocal said
        rate = clock.rate(name, done)
        now = time.monotonic()
        if now - said < _PLAIN_EVERY or not done:
            return
        said = now
        if total == 1:  # one step, such as loading a network, has no rate
            print(name, file=sys.stderr, flush=True)
            return
        left = (total - done) / rate
        print(f"{name}: {done} of {total}, {rate:.1f} {unit}/s, {left:.0f} s left", file=sys.stderr, flush=True)

    return tell

"""Columns and rows of text, ready to draw: what to show, not how. And how a score is written in a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.notebook import NO_ENDS as NO_ENDS
from cxrfeat.notebook import RANDOM_WEIGHTS as RANDOM_WEIGHTS
from cxrfeat.notebook import html_table
from cxrfeat.notebook import number as number
from cxrfeat.notebook import with_interval as with_interval

RESEARCH_USE = "Research use only, never diagnosis."

WHY_NO_ENDS = f"{NO_ENDS}: no interval, for {NO_INTERVAL} bear the score"
"""What a table with `NO_ENDS` says below its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows of text, ready to draw; with an interval that is missing, the title says why."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    """Columns that are aligned to the right."""
    grey: frozenset[int] = frozenset()
    """Rows that say too little to be read like the others; a mark in a cell says so too, without colour."""

    def __post_init__(self) -> None:
        """Say in the title why intervals are missing."""
        if WHY_NO_ENDS not in self.title and any(f" {NO_ENDS}" in cell for row in self.rows for cell in row):
            object.__setattr__(self, "title", f"{self.title}\n{WHY_NO_ENDS}")

    def to_html(self) -> str:
        """The table as a notebook shows it."""
        return html_table(self.title, self.columns, self.rows, self.numeric)


def in_words(value: float | None, interval: Sequence[float] | None) -> str:
    """A score with its 95 % interval in a sentence, which says why where there is none.

    Example:
        >>> in_words(0.8483, [0.826, 0.8704]), in_words(1.0, None)
        ('0.848 [0.826, 0.870]', '1.000 (no interval: fewer than 8 patients or groups (of a class))')
    """
    alone = value is None or interval is not None
    return with_interval(value, interval) if alone else f"{number(value)} (no interval: {NO_INTERVAL})"


def tables_html(*tables: Table | None) -> str:
    """Tables one below the other, as a notebook shows them; `None` where there is nothing to show."""
    return "".join(one.to_html() for one in tables if one is not None)

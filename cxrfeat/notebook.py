"""What a notebook shows of a value: tables in HTML, escaped. And how a score is written in a cell, everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

NO_ENDS = "[-]"
"""What stands for an interval that cannot be given."""

RANDOM_WEIGHTS = "RANDOM WEIGHTS: the network was never trained, scores mean nothing"


def number(value: float | None, digits: int = 3) -> str:
    """A score as text; a dash where it does not exist."""
    return "-" if value is None else f"{value:.{digits}f}"


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """A score with its 95 % interval, or that it has none.

    Example:
        >>> with_interval(0.8483, [0.826, 0.8704]), with_interval(1.0, None), with_interval(None, None)
        ('0.848 [0.826, 0.870]', '1.000 [-]', '-')
    """
    if interval is None:
        return number(value) if value is None else f"{number(value)} {NO_ENDS}"
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def html_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Collection[int] = frozenset()
) -> str:
    """A table as a notebook shows it.

    Args:
        title: Its caption; lines stay lines.
        columns: Their titles; all empty ones give no head.
        rows: Texts.
        numeric: Columns that are aligned to the right.

    Example:
        >>> html_table("a < b", ["n"], [["1"]], {0})[:46]
        '<table><caption style="text-align:left;font-we'
    """

    def cell(tag: str, index: int, text: str) -> str:
        side = "right" if index in numeric else "left"
        scope = ' scope="col"' if tag == "th" else ""
        return f'<{tag}{scope} style="text-align:{side};vertical-align:top">{_lines(text)}</{tag}>'

    head = "".join(cell("th", index, text) for index, text in enumerate(columns)) if any(columns) else ""
    body = "".join(f"<tr>{''.join(cell('td', index, text) for index, text in enumerate(row))}</tr>" for row in rows)
    return (
        f'<table><caption style="text-align:left;font-weight:bold">{_lines(title)}</caption>'
        f"{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
    )


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def brief(value: Any) -> str:  # noqa: ANN401  # any of the dataclasses that are results
    """A result in one line, where only text can be shown: what is long is counted, and nothing of an image is named.

    Example:
        >>> @dataclasses.dataclass
        ... class Made:
        ...     path: Path
        ...     images: tuple[str, ...]
        ...     seconds: float = 1.5
        ...     __repr__ = brief
        >>> Made(Path("x.h5"), ("a", "b"))
        Made(path='x.h5', images=2, seconds=1.5)
    """
    told = []
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        if isinstance(given, str | int | float | None):
            told.append(f"{field.name}={given!r}")
        elif isinstance(given, Path):
            told.append(f"{field.name}={str(given)!r}")
        elif isinstance(given, Sequence | Mapping):
            told.append(f"{field.name}={len(given)}")
        elif isinstance(name := getattr(given, "name", None), str):
            told.append(f"{field.name}={name!r}")
    return f"{type(value).__name__}({', '.join(told)})"

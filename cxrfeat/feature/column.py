"""The only place that cuts images into subgroups by what a feature file says of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.system.given import nearest

UNKNOWN = "unknown"
"""What the subgroup of images is called of which nobody said."""

COLUMNS = ("sex", "age", "view_position", "source", "date")
"""What images can be cut by; the second is a number, the last is cut into years where no edges are given."""

_MOST = 50
"""Values of a column above which a subgroup is no longer a question."""
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


@dataclass(frozen=True, slots=True)
class Cut:
    """A column, and where it is cut; `age:40:65` is under 40, 40 to under 65, and 65 and over."""

    column: str
    edges: tuple[str, ...] = ()
    """Ascending, as they were given."""

    def __str__(self) -> str:
        """As `read_cut` takes it."""
        return ":".join((self.column, *self.edges))


def read_cut(text: str, field: str = "by") -> Cut:
    """What `sex`, `age:40:65` or `date:2020-03` says.

    Args:
        text: As somebody gave it.
        field: Where.

    Raises:
        UsageError: If there is no such column, or it cannot be cut so.

    Example:
        >>> read_cut("age:40:65")
        Cut(column='age', edges=('40', '65'))
        >>> read_cut("ages")
        Traceback (most recent call last):
        cxrfeat.errors.UsageError: `by` takes sex, age, view_position, source or date; got 'ages'. Did you mean age?
    """
    column, *edges = (part.strip() for part in str(text).strip().split(":"))
    if column not in COLUMNS:
        known = f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
        raise UsageError(f"`{field}` takes {known}; got {column!r}.{nearest(column, COLUMNS)}")
    if column == "age":
        if not edges or not all(re.fullmatch(r"\d+(\.\d+)?", edge) for edge in edges):
            raise UsageError(f"An age is cut at years, as in `{field}=age:40:65`; got {text!r}.")
    elif column == "date":
        if not all(_DATE.fullmatch(edge) for edge in edges):
            raise UsageError(f"A date is cut at days, months or years, as in `{field}=date:2020-03-01`; got {text!r}.")
    elif edges:
        raise UsageError(f"{column} is not a number, so it takes no edges: say `{field}={column}`; got {text!r}.")
    pairs = list(pairwise(edges))
    if any(float(high) <= float(low) if column == "age" else high <= low for low, high in pairs):
        raise UsageError(f"Edges ascend, as in `{field}=age:40:65`; got {text!r}.")
    return Cut(column, tuple(edges))


def cut_by(file: FeatureFile, rows: Sequence[int], cut: Cut) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The subgroup of each of some images.

    Args:
        file: Describes them.
        rows: Their numbers in it; one may come again.
        cut: Into what.

    Returns:
        `(rows,)` numbers of subgroups; and the names of these, those of the file without an image here among them, in
        their order, with `unknown` last where anything is.

    Raises:
        UsageError: If the column has too many values.
    """
    if cut.column == "age":
        ages = file.content.columns["age"][list(rows)].astype(np.float64)
        member = np.searchsorted([float(edge) for edge in cut.edges], ages, "right")
        return _with_unknown(np.where(np.isnan(ages), -1, member), _between(cut.edges, "under", "and over"))
    if cut.column == "date":
        dates = [file.dates[row] for row in rows]
        if cut.edges:
            found = [-1 if date is None else sum(date >= edge for edge in cut.edges) for date in dates]
            return _with_unknown(np.array(found, np.int64), _between(cut.edges, "before", "and later"))
        told = [date and date[:4] for date in dates]
        names = tuple(sorted({date[:4] for date in file.dates if date}))
    else:
        texts = file.texts(cut.column)
        told, names = [texts[row] for row in rows], tuple(sorted({text for text in texts if text}))
    if len(names) > _MOST:
        raise UsageError(
            f"{file.path.name} has {len(names)} different values of {cut.column}, too many for subgroups (at most "
            f"{_MOST}). Leave {cut.column} out."
        )
    number = {name: index for index, name in enumerate(names)}
    return _with_unknown(np.array([-1 if not text else number[text] for text in told], np.int64), names)


def _between(edges: Sequence[str], below: str, above: str) -> tuple[str, ...]:
    """Names of what lies between edges.

    Example:
        >>> _between(("40", "65"), "under", "and over")
        ('under 40', '40 to under 65', '65 and over')
    """
    middle = (f"{low} to {below} {high}" for low, high in pairwise(edges))
    return (f"{below} {edges[0]}", *middle, f"{edges[-1]} {above}")


def _with_unknown(member: NDArray[np.int64], names: tuple[str, ...]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    unknown = member < 0
    if not unknown.any():
        return member.astype(np.int64), names
    return np.where(unknown, len(names), member).astype(np.int64), (*names, UNKNOWN)

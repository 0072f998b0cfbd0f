"""Curves and shares as a few characters, for tables of text: blocks on a terminal, ASCII elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import Table, number
from cxrfeat.run.table import History

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-=+*%#"
"""Marks from low to high."""

WIDTH = 16
"""Characters that a curve takes at most."""
BAR = 8
"""Characters of a share of one."""


def sparkline(values: Sequence[float], marks: str = BLOCKS) -> str:
    """Values as a row of marks, from the lowest mark for the least to the highest for the largest.

    Args:
        values: In order; of more than `WIDTH`, evenly chosen ones, the first and the last among them.
        marks: From low to high.

    Example:
        >>> sparkline([0.0, 0.5, 1.0], ASCII), sparkline([3.0, 3.0], ASCII), sparkline([], ASCII)
        ('_+#', '__', '')
    """
    if not values:
        return ""
    steps = min(len(values), WIDTH)
    chosen = [values[round(step * (len(values) - 1) / max(1, steps - 1))] for step in range(steps)]
    low, span = min(chosen), max(chosen) - min(chosen)
    return "".join(marks[round((value - low) / span * (len(marks) - 1)) if span > 0 else 0] for value in chosen)


def training_table(runs: Sequence[tuple[str, History]], marks: str) -> Table | None:
    """A line per head with epochs: how its loss and validation accuracy went; `None` where no head has any.

    Args:
        runs: Each head with its `Run.history`.
        marks: For the curves.
    """
    rows = []
    for head, history in runs:
        if history:
            cells = [_curve(history.column(name), marks) for name in ("loss", "val_accuracy")]
            last = history.epochs[-1].epoch  # of a network that was trained, the table begins with epoch 0, the start
            rows.append((head, number(last, 0), *cells))
    if not rows:
        return None
    return Table(
        title="Training: first value, the epochs, last value",
        columns=("head", "epochs", "loss", "validation accuracy"),
        rows=tuple(rows),
        numeric=frozenset({1}),
    )


def _curve(values: Sequence[float | None], marks: str) -> str:
    known = [value for value in values if value is not None]
    return f"{number(known[0])} {sparkline(known, marks)} {number(known[-1])}" if known else "-"


def confusion_table(run: Mapping[str, Any], marks: str) -> Table:
    """The confusion matrix of a run: counts, shares of the row, and a bar for each share."""
    test = run["test"]
    rows = []
    for name, counts in zip(test["classes"], test["confusion"], strict=True):
        whole = sum(counts)
        shares = [count / whole if whole else 0.0 for count in counts]
        cells = (
            f"{count:>{len(str(whole))}} {share:>4.0%} {(marks[-1] * round(share * BAR)).ljust(BAR)}"
            for count, share in zip(counts, shares, strict=True)
        )
        rows.append((name, *cells))
    return Table(
        title=f"{run['head']} on {run['backbone']}: rows are true classes, columns predicted ones",
        columns=("class", *(f"as {name}" for name in test["classes"])),
        rows=tuple(rows),
    )

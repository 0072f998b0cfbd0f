"""What a search for a head says, in sentences, and what it tried, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import Table, number
from cxrfeat.run.document import Search

SHOWN = 10
"""Lines of the table of what was tried."""


def sentences(search: Search, test_openings: int) -> list[str]:
    """What a search says: which head, by how much, and what to make of it."""
    found = search.found
    settings = settings_text(found.chosen.differs)
    by, best = search.settings.by.replace("-", " "), found.best_default
    chosen = found.chosen.spec.kind + (f" with {settings}" if settings else " as it is by default")
    if best is None or found.gain is None:
        beat = ", and no default could be fitted"
    elif found.gain > 0:
        beat = f", {found.gain:.3f} better than the best default ({best.kind}, {best.score:.3f})"
    elif settings:
        lower = "squared error" if by in ("mae", "rmse") else "log loss"
        beat = f", no better than the best default ({best.kind}), at a lower {lower}"
    else:
        beat = ", and nothing did better"
    where = " on everything" if search.outer is not None else ""
    part = "These outer folds have" if search.outer is not None else "This test part has"
    opened = "once, by this run" if test_openings == 1 else f"by {test_openings} runs, this one included"
    said = [
        f"Chosen{where}: {chosen}; {by} {found.score:.3f} on the inner folds{beat}.",
        "A search makes its choice look better than it is; the test scores above, of images it never saw, are the "
        "honest ones.",
        f"{part} been opened {opened}.",
    ]
    if test_openings > 1:
        said.append("If you pick the best of several by their test scores, test the pick on other images.")
    return said


def tried_table(search: Mapping[str, Any]) -> Table:
    """The best of what was tried, by the inner folds.

    Args:
        search: As in the document of a run.
    """
    tried = search["tried"]
    rows = tuple(
        (
            one["head"],
            settings_text(one["differs"]) or "(default)",
            number(one["score"]),
            str(one["folds"]),
            f"{one['seconds']:.1f}",
        )
        for one in tried[:SHOWN]
    )
    return Table(
        title=f"Tried on inner folds of the training part, the best {len(rows)} of {len(tried)}",
        columns=("head", "settings", search["by"].replace("-", " "), "folds", "seconds"),
        rows=rows,
        numeric=frozenset({2, 3, 4}),
    )


def settings_text(differs: Mapping[str, object]) -> str:
    """Fields as one reads them.

    Example:
        >>> settings_text({"hidden": [256, 64], "learning_rate": 0.003, "standardize": False})
        'hidden 256,64, learning rate 0.003, no standardize'
    """
    parts = []
    for field, value in differs.items():
        words = field.replace("_", " ")
        if isinstance(value, list):
            parts.append(f"{words} {','.join(map(str, value))}")
        elif isinstance(value, bool):
            parts.append(words if value else f"no {words}")
        else:
            parts.append(f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}")
    return ", ".join(parts)

"""Whether the data set is what its folder and its table say: what reading them lost, or had to interpret."""

from __future__ import annotations

from collections.abc import Sequence

from cxrfeat.image.note import Note, Weight
from cxrfeat.types import Finding, Status


def check_reading(notes: Sequence[Note]) -> list[Finding]:
    """A finding of what was lost, which fails, and one of what may surprise, which warns; else one that passes.

    Args:
        notes: The ledger of a manifest.
    """
    found = []
    for weight, status, remedy in (
        (
            Weight.LOSS,
            Status.FAIL,
            "Correct the folder or metadata.csv, so that nothing is left aside that belongs to the data.",
        ),
        (Weight.NOTABLE, Status.WARN, "See that this is what was meant."),
    ):
        told = [note.text for note in notes if note.weight is weight]
        if told:
            found.append(Finding(check="reading", status=status, value=len(told), why=" ".join(told), do=remedy))
    return found or [
        Finding(check="reading", status=Status.PASS, value=0, why="Everything in the folder and its table was used.")
    ]

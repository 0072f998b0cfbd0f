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
            "Correct the folder or metadata.csv, so that nothing that belongs to the data is left aside.",
        ),
        (Weight.NOTABLE, Status.WARN, "Check that this is what you intended."),
    ):
        told = [note.text for note in notes if note.weight is weight]
        if told:
            found.append(Finding(check="reading", status=status, value=len(told), why=" ".join(told), do=remedy))
    return found or [
        Finding(check="reading", status=Status.PASS, value=0, why="Everything in the folder and its table was used.")
    ]

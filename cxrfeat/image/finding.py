"""Findings of images that may have several: what may be said of one, and how often it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PRESENT, ABSENT, UNCERTAIN, NOT_STATED = 1, 0, -1, -2

STATES = {"present": PRESENT, "absent": ABSENT, "uncertain": UNCERTAIN, "not_stated": NOT_STATED}
"""What may be said of a finding, in words."""


def finding_counts(names: Sequence[str], findings: Iterable[Sequence[int] | None]) -> dict[str, dict[str, int]]:
    """How many images have each finding, by what is said of it.

    Args:
        names: Of the findings.
        findings: `(images, findings)`, or `None` of an image of which nothing is said.

    Example:
        >>> finding_counts(["Mass"], [(1,), (0,), None])
        {'Mass': {'present': 1, 'absent': 1, 'uncertain': 0, 'not_stated': 1}}
    """
    counts = {name: dict.fromkeys(STATES, 0) for name in names}
    words = {value: word for word, value in STATES.items()}
    for values in findings:
        for place, name in enumerate(names):
            counts[name][words[NOT_STATED if values is None else values[place]]] += 1
    return counts

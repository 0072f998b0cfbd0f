"""Findings of images that may have several: what may be said of one, how it is written, and how often it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from cxrfeat.errors import InputError
from cxrfeat.system.given import nearest

PRESENT, ABSENT, UNCERTAIN, NOT_STATED = 1, 0, -1, -2

STATES = {"present": PRESENT, "absent": ABSENT, "uncertain": UNCERTAIN, "not_stated": NOT_STATED}
"""What may be said of a finding, in words."""

FOUND = "Finding"
"""The class of an image with a finding, of whatever kind."""

_WORDS = (
    {"present": PRESENT, "yes": PRESENT, "y": PRESENT, "true": PRESENT, "positive": PRESENT, "pos": PRESENT}
    | {"absent": ABSENT, "no": ABSENT, "n": ABSENT, "false": ABSENT, "negative": ABSENT, "neg": ABSENT}
    | {"uncertain": UNCERTAIN, "possible": UNCERTAIN, "equivocal": UNCERTAIN, "u": UNCERTAIN}
)
_NUMBER = re.compile(r"-?\d+(?:\.0*)?")


@lru_cache(maxsize=4096)  # of many cells with few texts
def state_of(text: str) -> int | None:
    """What a cell says of its finding; `None` if it says nothing that is understood.

    Example:
        >>> [state_of(text) for text in ("1.0", "0", "-1", "Yes", "2", "")]
        [1, 0, -1, 1, None, None]
    """
    if _NUMBER.fullmatch(text):
        value = int(float(text))
        return value if value in (PRESENT, ABSENT, UNCERTAIN) else None
    return _WORDS.get(text.casefold())


def class_of(none: int, values: Collection[int], name: str) -> str:
    """The class that follows from findings: that there is none, or one of whatever kind; empty where neither does.

    Args:
        none: What is said of there being none.
        values: What is said of each of the others.
        name: What the class of images without any is called.

    Example:
        >>> class_of(PRESENT, [ABSENT], "No Finding"), class_of(NOT_STATED, [UNCERTAIN], "No Finding")
        ('No Finding', 'Finding')
    """
    if none == PRESENT:
        return name
    return FOUND if PRESENT in values or UNCERTAIN in values else ""


def chosen_findings(
    names: Sequence[str], values: Sequence[tuple[int, ...]], wanted: Sequence[str], title: str
) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    """The findings that the user names, and what is said of them.

    Args:
        names: Of all findings.
        values: What is said of them, of each image.
        wanted: Some of the names, in any case.
        title: What the data set is called.

    Raises:
        InputError: If there is no such finding.
    """
    places: list[int] = []
    for name in wanted:
        same = [at for at, one in enumerate(names) if one.casefold() == name.casefold()]
        if not same:
            raise InputError(
                f"`findings` names {name!r}, which is not a finding of {title}.{nearest(name, names)} "
                f"There are {', '.join(names) or 'none'}."
            )
        places += [same[0]] if same[0] not in places else []
    return tuple(names[at] for at in places), [tuple(one[at] for at in places) for one in values]


def finding_counts(names: Sequence[str], findings: Iterable[Sequence[int] | None]) -> dict[str, dict[str, int]]:
    """How many images have each finding, by what is said of it.

    Args:
        names: Names of the findings.
        findings: `(images, findings)`, or `None` of an image of which nothing is said.

    Example:
        >>> finding_counts(["Mass"], [(1,), (0,), None])
        {'Mass': {'present': 1, 'absent': 1, 'uncertain': 0, 'not_stated': 1}}
    """
    counts: Mapping[str, dict[str, int]] = {name: dict.fromkeys(STATES, 0) for name in names}
    words = {value: word for word, value in STATES.items()}
    for values in findings:
        for place, name in enumerate(names):
            counts[name][words[NOT_STATED if values is None else values[place]]] += 1
    return dict(counts)

"""Who is in the pictures: patients on two sides or under two labels, and age, sex and position against the class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.container import indicators
from cxrfeat.image.patient import MixedPatients
from cxrfeat.types import Features, Finding, Groups, Labels, Status

ADULT = 18.0
"""Age in years from which a patient is no child."""

SHARE_WARN, SHARE_FAIL = 0.2, 0.5
"""Difference between classes in the share of children from which it is worth a word, and from which it fails: the
public pneumonia pictures are of children, the COVID ones of adults (Kermany et al. 2018 against the others)."""


def check_patients(known: NDArray[np.bool_]) -> Finding:
    """How many images cannot be kept with the others of their patient."""
    unknown = int((~known).sum())
    if unknown:
        return Finding(
            check="patients",
            status=Status.WARN,
            value=unknown,
            why=f"The patient of {unknown} of {len(known)} images is unknown; each counts as a patient of its own, "
            "so images of one person may be on both sides of the split.",
            do="Name patients in the column patient_id of metadata.csv, or take them from file names with "
            "cxrfeat extract `patient_regex`, and extract the features again.",
        )
    return Finding(check="patients", status=Status.PASS, value=0, why="The patient of every image is known.")


def check_labels(labels: Labels, groups: Groups, known: NDArray[np.bool_], images: Sequence[str] = ()) -> Finding:
    """Whether one patient has images of several classes: an illness over time, or a mistake.

    Args:
        labels: `(images,)` class indices.
        groups: `(images,)` group indices.
        known: `(images,)` whether the patient is known.
        images: `(images,)` paths, where they are known.
    """
    of_group: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(known & differing(labels, groups, known)[groups]).tolist():
        of_group[int(groups[index])].append(index)
    torn = [rows for rows in of_group.values() if len({int(labels[row]) for row in rows}) > 1]
    if not torn:
        return Finding(check="labels", status=Status.PASS, value=0, why="No patient has images of two classes.")
    return Finding(
        check="labels",
        status=Status.WARN,
        value=len(torn),
        why=f"{len(torn)} patients have images of more than one class. They stay on one side of every split, but "
        "a head that recognises the person cannot be right about both.",
        do="Check them: a different label on another day of the illness can be right; two labels on one day cannot.",
        images=tuple(images[row] for rows in torn for row in rows) if images else (),
    )


def differing(values: NDArray[Any], groups: Groups, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of which groups the images differ in something.

    Args:
        values: `(images,)` numbers.
        groups: `(images,)` group indices.
        known: `(images,)` of which images they mean anything.

    Returns:
        `(groups,)`.

    Example:
        >>> differing(np.array([1, 1, 2, 3]), np.array([0, 0, 1, 1]), np.array([True] * 4)).tolist()
        [False, True]
    """
    some, values = groups[known], values[known]
    number = int(groups.max(initial=-1)) + 1
    if not len(values):
        return np.zeros(number, np.bool_)
    least, most = np.full(number, values.max()), np.full(number, values.min())
    np.minimum.at(least, some, values)
    np.maximum.at(most, some, values)
    return np.asarray(least < most)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A column of the metadata, as a control is given it."""

    seen: Features
    """`(images, k)` indicators; rows of which nothing is known mean nothing."""
    known: NDArray[np.bool_]
    """`(images,)`."""


def metadata_columns(columns: Mapping[str, NDArray[np.generic]]) -> dict[str, Column]:
    """What a control is given for each column that says anything; what is the same wherever it is known is left out.

    Args:
        columns: `age` (NaN where unknown) and texts (empty where unknown).
    """
    made = {}
    for name, values in columns.items():
        known = _told(values)
        of_known = indicators({name: values[known]}) if known.any() else np.zeros((0, 0), np.float32)
        if of_known.shape[1]:
            seen = np.zeros((len(values), of_known.shape[1]), np.float32)
            seen[known] = of_known
            made[name] = Column(seen=seen, known=known)
    return made


def check_unknown(columns: Mapping[str, NDArray[np.generic]], labels: Labels, classes: Sequence[str]) -> Finding | None:
    """What the metadata leave out, a finding of its own; `None` where every column says all or nothing.

    Args:
        columns: As for `metadata_columns`.
        labels: `(images,)` class indices.
        classes: Class names.
    """
    missing = {name: ~_told(values) for name, values in columns.items()}
    partly = {name: gap for name, gap in missing.items() if gap.any() and not gap.all()}
    if not partly:
        return None
    told = []
    for name, gap in partly.items():
        counts = [
            f"{int(gap[labels == index].sum())} of {int((labels == index).sum())} {label}"
            for index, label in enumerate(classes)
            if gap[labels == index].any()
        ]
        told.append(f"{name} unknown for {', '.join(counts)}")
    return Finding(
        check="unknown metadata",
        status=Status.WARN,
        value=int(np.logical_or.reduce(list(partly.values())).sum()),
        why=f"Not everything that could give the class away is known for every image ({'; '.join(told)}); what is "
        "known was judged.",
        do="Fill in the columns of metadata.csv where the values are known.",
    )


LEAST_KNOWN = 8
"""Images of a class whose age must be known before its share of children means anything; all, if it has fewer."""


def check_children(ages: NDArray[np.floating], labels: Labels, classes: Sequence[str]) -> Finding | None:
    """Whether children are mixed with adults, and tied to a class; `None` where no age is known.

    Args:
        ages: `(images,)` years, NaN where unknown.
        labels: `(images,)` class indices.
        classes: Class names.
    """
    known = ~np.isnan(ages)
    if not known.any():
        return None
    of_class = {name: labels == index for index, name in enumerate(classes)}
    counts = {name: (int((known & there).sum()), int(there.sum())) for name, there in of_class.items()}
    judged = [name for name, (some, every) in counts.items() if some and (some >= LEAST_KNOWN or some == every)]
    left = [f"{name} ({counts[name][0]} of {counts[name][1]} known)" for name in classes if name not in judged]
    besides = f" Too few ages are known to judge {', '.join(left)}." if left else ""
    shares = {name: float((ages[known & of_class[name]] < ADULT).mean()) for name in judged}
    column = "Fill in the column age of metadata.csv."
    if len(shares) < 2:
        return Finding(check="children", status=Status.WARN, why=besides.strip(), do=column)
    apart = max(shares.values()) - min(shares.values())
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    status = Status.FAIL if apart >= SHARE_FAIL else Status.WARN if apart >= SHARE_WARN else Status.PASS
    remedy = "Compare adults with adults: take one of the sets out, or judge within one source."
    if status is Status.PASS and left:
        status, remedy = Status.WARN, column
    return Finding(
        check="children",
        status=status,
        value=apart,
        why=f"Share of children among the images of known age: {said}.{besides}",
        do="" if status is Status.PASS else remedy,
    )


def check_mixed(mixed: MixedPatients, of: int, images: Sequence[str] = (), what: str = "patient numbers") -> Finding:
    """Whether one patient number seems to stand for several people: a finding, since it cannot be told from here.

    Args:
        mixed: As `image.patient.mixed_patients` finds them.
        of: Patients in all.
        images: `(images,)` paths, where they are known.
        what: What patients are told by.
    """
    if not mixed.rows:
        return Finding(
            check="patient numbers",
            status=Status.PASS,
            value=0,
            why="Every patient number seems to stand for one person.",
        )
    return Finding(
        check="patient numbers",
        status=Status.WARN,
        value=len(mixed.rows),
        why=f"{mixed.said(of, what)} One number may stand for several people; they are kept together as one.",
        do="If the numbers start again in each source, make them differ in the column patient_id of metadata.csv, as "
        "in "
        "A-17 and B-17; if not, correct the source, sex or age.",
        images=tuple(images[row] for rows in mixed.rows for row in rows) if images else (),
    )


def _told(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    return ~np.isnan(values.astype(np.float64)) if np.issubdtype(values.dtype, np.number) else values != ""

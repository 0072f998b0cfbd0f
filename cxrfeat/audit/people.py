"""Who is in the pictures: patients on two sides or under two labels, and age, sex and position against the class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxrfeat.audit.container import indicators
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
            "so images of one person may stand on both sides of the split.",
            do="Name patients in the column patient_id of metadata.csv, or take them from file names: --patient-regex.",
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
    for index in np.flatnonzero(known).tolist():
        of_group[int(groups[index])].append(index)
    torn = [rows for rows in of_group.values() if len({int(labels[row]) for row in rows}) > 1]
    if not torn:
        return Finding(check="labels", status=Status.PASS, value=0, why="No patient has images of two classes.")
    return Finding(
        check="labels",
        status=Status.WARN,
        value=len(torn),
        why=f"{len(torn)} patients have images of more than one class. They stay on one side of every split, and "
        "a head that knows the person cannot be right about both.",
        do="Check them: another day of an illness is no mistake, another label for one day is.",
        images=tuple(images[row] for rows in torn for row in rows) if images else (),
    )


def metadata_features(columns: Mapping[str, NDArray[np.generic]]) -> dict[str, Features]:
    """What a control is given for each column of the metadata that says anything; empty columns are left out.

    Args:
        columns: `age` (NaN where unknown) and texts (empty where unknown).
    """
    made = {name: indicators({name: values}) for name, values in columns.items() if _told(values).any()}
    return {name: seen for name, seen in made.items() if seen.shape[1]}


def check_children(ages: NDArray[np.floating], labels: Labels, classes: Sequence[str]) -> Finding | None:
    """Whether children are mixed with adults, and tied to a class; `None` where no age is known."""
    known = ~np.isnan(ages)
    if not known.any():
        return None
    shares = {
        name: float((ages[known & (labels == index)] < ADULT).mean())
        for index, name in enumerate(classes)
        if (known & (labels == index)).any()
    }
    apart = max(shares.values()) - min(shares.values())
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    status = Status.FAIL if apart >= SHARE_FAIL else Status.WARN if apart >= SHARE_WARN else Status.PASS
    remedy = "Compare adults with adults: take one of the sets out, or judge within one source."
    return Finding(
        check="children",
        status=status,
        value=apart,
        why=f"Share of children among the images of known age: {said}.",
        do="" if status is Status.PASS else remedy,
    )


def _told(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    return ~np.isnan(values.astype(np.float64)) if np.issubdtype(values.dtype, np.number) else values != ""

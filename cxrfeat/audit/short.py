"""The short audit, before every fit: what a feature file alone tells of whether its scores can mean anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.store import FeatureFile
from cxrfeat.image.split import torn
from cxrfeat.types import Finding, Groups, Labels, Status


def short_audit(file: FeatureFile, parts: NDArray[np.str_] | None) -> list[Finding]:
    """Check a feature file and the split about to be used on it.

    Args:
        file: The features.
        parts: `(images,)` the split, or `None` for grouped folds, which cannot leak.

    Returns:
        One finding per check, failed ones first.
    """
    found = [
        check_weights(file.spec.weights),
        check_sources(file.labels, file.sources, file.classes),
        check_patients(file.known_patients),
        check_split(parts, file.groups),
        check_conflicts(file.labels, file.content_sha256),
        check_quarantine(len(file.content.quarantine), file.images),
    ]
    order = [Status.FAIL, Status.WARN, Status.PASS]
    return sorted(found, key=lambda one: order.index(one.status))


def check_weights(weights: str) -> Finding:
    """Whether the network has seen anything before."""
    if weights.startswith("random:"):
        return Finding(
            check="weights",
            status=Status.WARN,
            why="RANDOM WEIGHTS: the network was never trained, so these scores mean nothing.",
            do="Extract with --weights imagenet.",
        )
    return Finding(check="weights", status=Status.PASS, why="The network's weights were loaded from a file.")


def check_sources(labels: Labels, sources: Sequence[str | None], classes: Sequence[str]) -> Finding:
    """How well the source alone tells the class.

    The value is the balanced accuracy of the best rule that sees nothing but the source: in each, the class that is
    commonest there relative to its size. It is 1 / classes where sources say nothing, 1 where they say all.

    Two classes that share no source cannot be told from their sources by any score; that fails.
    """
    known = [source for source in sources if source is not None]
    if len(known) < len(sources):
        return Finding(
            check="source",
            status=Status.WARN,
            why=f"The source of {len(sources) - len(known)} of {len(sources)} images is unknown, so nobody can test "
            "whether the score measures the disease or where the picture came from.",
            do="Name each image's hospital or data set in the column source of metadata.csv.",
        )
    names = sorted(set(known))
    table = np.zeros((len(classes), len(names)))
    for label, source in zip(labels.tolist(), known, strict=True):
        table[label, names.index(source)] += 1
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    value = float(shares.max(axis=0).sum() / len(classes))
    chance = 1 / len(classes)
    apart = [
        f"{classes[one]} and {classes[other]}"
        for one, other in combinations(range(len(classes)), 2)
        if not np.any((table[one] > 0) & (table[other] > 0))
    ]
    said = f"The source alone predicts the class with balanced accuracy {value:.3f} (chance {chance:.3f})"
    if apart:
        return Finding(
            check="source",
            status=Status.FAIL,
            value=value,
            why=f"{said}: {'; '.join(apart)} share no source, so no score tells the disease from the hospital.",
            do="Add images of those classes from a common source, or judge only pairs of classes that share one.",
        )
    if value > chance + 0.1:
        return Finding(
            check="source",
            status=Status.WARN,
            value=value,
            why=f"{said}: part of every score below may be the hospital.",
            do="Compare with the score within one source, or balance the sources between the classes.",
        )
    return Finding(check="source", status=Status.PASS, value=value, why=f"{said}.")


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


def check_split(parts: NDArray[np.str_] | None, groups: Groups) -> Finding:
    """Whether a patient, or copies of an image, stand on two sides."""
    broken = 0 if parts is None else torn(parts, groups)
    if broken:
        return Finding(
            check="split",
            status=Status.FAIL,
            value=broken,
            why=f"The split is leaky: {broken} patients or sets of copies have images in more than one part.",
            do="Keep them together with --split-by group, or mend the given split with --regroup.",
        )
    return Finding(check="split", status=Status.PASS, value=0, why="No patient and no copy stands on two sides.")


def check_conflicts(labels: Labels, content_sha256: Sequence[str]) -> Finding:
    """Whether the same bytes carry different labels, and how many copies there are."""
    pairs = set(zip(content_sha256, labels.tolist(), strict=True))
    conflicts = sum(count > 1 for count in Counter(sha for sha, _ in pairs).values())
    copies = len(content_sha256) - len(set(content_sha256))
    if conflicts:
        return Finding(
            check="copies",
            status=Status.FAIL,
            value=conflicts,
            why=f"{conflicts} images are there more than once with different labels.",
            do="Decide on one label for each and delete the other files.",
        )
    if copies:
        return Finding(
            check="copies",
            status=Status.WARN,
            value=copies,
            why=f"{copies} images are byte for byte copies of others; they stay on one side, but count twice.",
            do="Delete the copies.",
        )
    return Finding(check="copies", status=Status.PASS, value=0, why="No image is there twice, byte for byte.")


def check_quarantine(bad: int, good: int) -> Finding:
    """How many images the scores leave out."""
    if bad:
        return Finding(
            check="unreadable",
            status=Status.WARN,
            value=bad,
            why=f"{bad} of {bad + good} images could not be read and are left out.",
            do="See which with `cxrfeat index`, and replace or delete them.",
        )
    return Finding(check="unreadable", status=Status.PASS, value=0, why="Every image could be read.")

"""Which images of another data set a run has seen: the same bytes or pixels, near copies, and the same patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import of_same_images
from cxrfeat.image.duplicate import find_duplicates
from cxrfeat.image.manifest_file import manifest_path, read_lines
from cxrfeat.run.folder import AnyRun
from cxrfeat.types import Features

BYTES, PIXELS, PATIENT, BESIDE = "same bytes", "same pixels", "same patient", "of a patient seen"
"""How an image can be one that was seen, or belong to one; the other way is `near`, with what was done to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenImage:
    """An image of another data set that the run's data hold, or a patient of theirs."""

    row: int
    """In the file of the other data set."""
    how: str
    part: str
    """Of the run's split that the image, or one of the patient, is in."""


def seen_of_run(
    run: AnyRun, other: FeatureFile, own: FeatureFile | None, folder: Path, *, patients: Mapping[str, str | None]
) -> tuple[list[SeenImage], list[str]]:
    """Images of another data set that a run has seen, by whatever is there to look by.

    Args:
        run: Of any kind.
        other: Features of the other set.
        own: The run's own features; without them a file of the same images by another network is looked for.
        folder: Of the feature files and manifests.
        patients: By content hash, what the other data call them; empty where equal names are of other people.

    Returns:
        The images, and by which of `bytes`, `pixels` and `patients` they were looked for.

    Raises:
        IntegrityError: If the run, or a feature file, is damaged.
    """
    split = run.split()
    parts = dict(zip(split.contents, split.parts, strict=True))
    place = manifest_path(folder, run.document.dataset)
    lines = read_lines(place) if place.is_file() else []
    known = {line.content_sha256: line.patient_id or None for line in lines if line.content_sha256 in parts}
    theirs = [patients.get(one) for one in other.content_sha256]
    with ExitStack() as stack:
        pictured = own
        if pictured is None:
            # Without one, bytes are known all the same.
            with suppress(InputError):
                pictured = stack.enter_context(of_same_images(run, folder))
        ways = ["bytes"] + ["pixels"] * (pictured is not None) + ["patients"] * bool(known)
        return seen_images(other, parts, pictured, patients=theirs, own_patients=known), ways


def seen_images(
    other: FeatureFile,
    parts: Mapping[str, str],
    own: FeatureFile | None,
    *,
    patients: Sequence[str | None],
    own_patients: Mapping[str, str | None],
) -> list[SeenImage]:
    """Images of another data set that a run was trained, validated or tested on, in order of their rows.

    Whoever has one image that was seen is left out with all: images of one group stand or fall together.

    Args:
        other: Features of the other set.
        parts: By content hash, the part of each image of the run's own.
        own: A feature file of the run's images, with their portraits; without it only bytes can be told, and patients.
        patients: `(images of other,)`, what the data call them; `None` where nobody says, or where equal names are of
            other people.
        own_patients: By content hash, those of the run's own.
    """
    found: dict[int, tuple[str, str]] = {}
    for row, content in enumerate(other.content_sha256):
        if content in parts:
            found[row] = BYTES, parts[content]
    if own is not None:
        for row, (how, content) in _copies(other, own).items():
            found.setdefault(row, (how, parts.get(content, "none")))
    known = {own_patients.get(content): part for content, part in _most_seen_last(parts)}
    for row, patient in enumerate(patients):
        if patient is not None and patient in known:
            found.setdefault(row, (PATIENT, known[patient]))
    groups = other.groups
    of_group = {int(groups[row]): part for row, (_, part) in found.items()}
    for row, group in enumerate(groups.tolist()):
        if group in of_group:
            found.setdefault(row, (BESIDE, of_group[group]))
    return [SeenImage(row=row, how=how, part=part) for row, (how, part) in sorted(found.items())]


def _most_seen_last(parts: Mapping[str, str]) -> list[tuple[str, str]]:
    order = ("none", "test", "validation", "train")
    return sorted(parts.items(), key=lambda pair: order.index(pair[1]) if pair[1] in order else 1)


def _copies(other: FeatureFile, own: FeatureFile) -> dict[int, tuple[str, str]]:
    """By row of the other file, how it is a copy and of which content of our own."""
    columns = [file.content.columns for file in (own, other)]
    contents = [*own.content_sha256, *other.content_sha256]
    pairs = find_duplicates(
        contents,
        np.concatenate([one["portrait"] for one in columns]),
        np.concatenate([one["pixel_digest"] for one in columns]),
        _features(own, other),
    )
    found: dict[int, tuple[str, str]] = {}
    for pair in pairs:
        if pair.one < own.images <= pair.other:
            how = {"bytes": BYTES, "pixels": PIXELS}.get(pair.kind, f"near, {pair.change}" if pair.change else "near")
            found.setdefault(pair.other - own.images, (how, contents[pair.one]))
    return found


def _features(own: FeatureFile, other: FeatureFile) -> Features | None:
    """Plain views of both, where one network made them: with nearly the same ones, images are compared too."""
    if own.dim != other.dim or own.spec.weights != other.spec.weights:
        return None
    plain: NDArray[np.float32] = np.concatenate([own.arrays(0)[0], other.arrays(0)[0]])
    return plain

"""The whole audit: every check of a folder of images, in the order in which they are shown."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cxrfeat.auditing.container import container_of_rows, indicators
from cxrfeat.auditing.control import check_control, check_outside, column_scores
from cxrfeat.auditing.copies import Copy, check_copies
from cxrfeat.auditing.encoded import check_encoded
from cxrfeat.auditing.images import AuditedImages
from cxrfeat.auditing.mask import check_masks
from cxrfeat.auditing.people import (
    check_children,
    check_labels,
    check_mixed,
    check_patients,
    check_unknown,
)
from cxrfeat.auditing.reading import check_reading
from cxrfeat.auditing.sanity import check_sanity
from cxrfeat.auditing.short import (
    CONTAINER,
    REMEDY,
    SEEN,
    THUMBNAIL,
    alike,
    check_column,
    check_quarantine,
    check_split,
)
from cxrfeat.auditing.source import check_sources, check_within
from cxrfeat.feature.split import Split
from cxrfeat.image.mask import Masks
from cxrfeat.image.patient import mixed_rows
from cxrfeat.image.row import Quarantined
from cxrfeat.image.split import NO_PART
from cxrfeat.metric.shortcut import tested_groups
from cxrfeat.run.document import Encoded, WithinSource
from cxrfeat.types import Features, Finding, Probabilities, failed_first

HISTOGRAM, MODEL = "histogram", "model"

_SEEN = SEEN | {
    HISTOGRAM: "Histograms of grey levels",
    "border only": "Images of their borders only",
    "lungs out": "Images with the lungs blacked out",
    "shuffled blocks": "Images cut into blocks and shuffled",
}


def pixel_controls(images: AuditedImages) -> dict[str, Probabilities]:
    """Controls that need no network."""
    looks = [one.look for one in images.inspections]
    histograms = np.array([one.histogram for one in images.inspections], dtype=np.float64)
    shares = histograms / histograms.sum(axis=1, keepdims=True)
    seen: dict[str, Features] = {
        CONTAINER: indicators(container_of_rows(images.rows, looks)),
        THUMBNAIL: np.array([look.thumbnail for look in looks], np.float32).reshape(len(looks), -1),
        HISTOGRAM: np.sqrt(shares).astype(np.float32),
    }
    return {name: images.probabilities(values) for name, values in seen.items() if values.shape[1]}


def scores_of_columns(images: AuditedImages) -> dict[str, dict[str, Any] | None]:
    """Scores of each column of the metadata, among the images of which it says anything."""
    if not images.folds:
        return {}
    of = (images.labels, images.groups, images.folds, images.manifest.classes)
    return {name: column_scores(column, *of, seed=images.seed) for name, column in images.columns.items()}


def findings_of(
    images: AuditedImages,
    bad: Sequence[Quarantined],
    copies: Sequence[Copy],
    masks: Masks,
    scored: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, Any] | None],
    within: WithinSource | None,
    encoded: Sequence[Encoded],
    look: str,
) -> tuple[Finding, ...]:
    """Every check, failed ones first.

    Args:
        images: What is audited.
        bad: Images that cannot be used.
        copies: Pairs of images that are copies of one picture.
        masks: Masks of the images, where a model was judged without their lungs.
        scored: Scores of each control.
        columns: Scores of each column of the metadata, from `scores_of_columns`.
        within: Scores of the model within sources, where there is one.
        encoded: What else its features know.
        look: What to do about a control that does well.
    """
    found = [
        *check_reading(images.manifest.notes),
        *_about_images(images, copies),
        *_about_controls(images, scored, columns, look),
        *([] if within is None else check_within(within)),
        *check_encoded(encoded),
        *_about_data(images, bad),
        *check_masks(masks, [row.content_sha256 for row in images.rows]),
    ]
    return tuple(failed_first(one for one in found if one is not None))


def _about_images(images: AuditedImages, copies: Sequence[Copy]) -> list[Finding]:
    split = any(row.split is not None for row in images.rows)
    return [*check_sanity(images.rows, images.inspections), *check_copies(copies, split=split)]


def _about_controls(
    images: AuditedImages,
    scored: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, Any] | None],
    look: str,
) -> Iterable[Finding | None]:
    yield images.unfolded
    if images.folds and CONTAINER not in scored:
        yield alike()
    for name, scores in scored.items():
        if not scores["judged"]:
            continue  # said once for all
        if name in REMEDY:
            yield check_outside(name, _SEEN[name], REMEDY[name], scores)
        else:
            yield check_control(name, _SEEN[name], look, scores)
    there = tested_groups(images.labels, images.groups, images.manifest.classes)
    for name, scores_of_known in columns.items():
        yield check_column(name, images.columns[name], scores_of_known, there)


def _about_data(images: AuditedImages, bad: Sequence[Quarantined]) -> list[Finding | None]:
    rows, classes, paths = images.rows, images.manifest.classes, [row.path for row in images.rows]
    known = np.array([row.patient is not None for row in rows])
    given = np.array([row.split is not None for row in rows])
    patients = [row.patient for row in rows]
    mixed = mixed_rows(rows)
    found = [
        images.strangers,
        *check_sources(images.sources),
        check_unknown(images.metadata, images.labels, classes),
        check_patients(known),
        check_mixed(mixed, len(set(patients) - {None}), paths),
        check_labels(images.labels, images.groups, known, paths),
        check_children(images.ages, images.labels, classes),
        check_quarantine(len(bad), len(rows)),
    ]
    if given.any():
        parts = np.array([row.split or NO_PART for row in rows], dtype="<U10")
        contents = [row.content_sha256 for row in rows]
        split = Split.of(parts, contents, images.labels, classes, by="column", seed=images.seed)
        found.append(check_split(split, images.groups))
    return found


def remedy(data: str, cache: str | None, *, reading: str = "", mitigated: bool) -> str:
    """What to do about a control that does well, with a command to paste.

    Args:
        data: The data folder.
        cache: The feature file of these images, if there is one.
        reading: The fields with which the folder was read, as `quoted_fields` writes them.
        mitigated: Whether ways to make the network look at the lungs were compared.
    """
    look = "Look at what differs between the classes"
    command = " ".join(filter(None, ("cxrfeat audit", shlex.quote(data), reading)))
    if mitigated:
        return f"{look}, and at what helps: the table of ways to make it look at the lungs."
    if cache is None:
        return f"{look}, and at how much of it a model uses: {command} `cache=FEATURES.h5`"
    return f"{look}, and see what helps: {command} `cache={cache}` `mitigate=True`"

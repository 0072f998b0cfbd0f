"""The short audit, before every fit: what a feature file alone says on whether its scores can mean anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.container import container_of_file, indicators
from cxrfeat.auditing.control import (
    check_control,
    check_controls,
    check_outside,
    column_scores,
    control_probabilities,
    tested,
    too_few,
)
from cxrfeat.auditing.encoded import check_encoded, columns_of_file, read_encoded
from cxrfeat.auditing.odd import check_odd
from cxrfeat.auditing.outputs import check_outputs
from cxrfeat.auditing.people import (
    Column,
    check_children,
    check_labels,
    check_mixed,
    check_patients,
    check_unknown,
    differing,
    metadata_columns,
)
from cxrfeat.auditing.source import SourceTable, check_sources, check_within
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Split
from cxrfeat.image.patient import mixed_patients
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.shortcut import control_scores, tested_groups
from cxrfeat.run.document import ControlScores, Encoded, FinalEvaluation
from cxrfeat.run.record import from_json, to_json
from cxrfeat.types import Features, Finding, Groups, Labels, Part, Probabilities, Status, failed_first

CONTAINER, THUMBNAIL = "container", "thumbnail"

SEEN = {
    CONTAINER: "Format, size, compression and borders of the files",
    THUMBNAIL: "Thumbnails of eight by eight pixels",
    "age": "The patients' ages",
    "sex": "The patients' sexes",
    "view_position": "The positions of the patients (AP, PA)",
}
"""What each control is given, as the beginning of a sentence."""

REMEDY = {
    CONTAINER: "Judge within one source, or store all images in the same kind of file.",
    "age": "Balance ages between the classes, or judge within an age.",
    "sex": "Balance the sexes between the classes, or judge within one.",
    "view_position": "Judge AP and PA pictures separately: the position tells how ill a patient is.",
}


@dataclass(frozen=True, eq=False)
class ShortAudit:
    """The checks of a feature file and of the split about to be used on it."""

    file: FeatureFile
    split: Split
    """What is trained on and tested; the test images of all its folds, in their order, are those of the scores."""
    seed: int = 0
    features: Features | None = None
    """`(images, dim)` of the plain views, to see what else they know; `None` where no head is fitted on them."""

    @cached_property
    def encoded(self) -> tuple[Encoded, ...]:
        """What else than the class can be read from the features."""
        file = self.file
        if self.features is None:
            return ()
        columns = columns_of_file(file)
        return read_encoded(self.features, file.labels, file.groups, columns, file.classes, seed=self.seed)

    @cached_property
    def controls(self) -> dict[str, Probabilities]:
        """What classifiers that see no lungs say of `split.tested`: `container` and `thumbnail`."""
        file = self.file
        thumbnails = file.content.columns["thumbnail"].reshape(file.images, -1)
        seen: dict[str, NDArray[Any]] = {CONTAINER: indicators(container_of_file(file))}
        if file.has_pictures:
            seen[THUMBNAIL] = thumbnails
        return {
            name: control_probabilities(values, file.labels, self.split.folds, file.classes)
            for name, values in seen.items()
            if values.shape[1]
        }

    def control_scores(self, model: Probabilities) -> dict[str, ControlScores]:
        """Scores of the controls, with their shortcut ratios to a model's probabilities for the same images."""
        rows = self.split.tested
        y, groups = self.file.labels[rows], self.file.groups[rows]
        return {
            name: from_json(ControlScores, control_scores(y, told, groups, self.file.classes, model, seed=self.seed))
            for name, told in self.controls.items()
        }

    @cached_property
    def findings(self) -> list[Finding]:
        """One per check, failed ones first."""
        file = self.file
        found = [
            check_weights(file.spec.weights),
            *check_sources(SourceTable.of(file.labels, file.sources, file.classes)),
            *self._outside(),
            check_unknown(self._metadata, file.labels, file.classes),
            check_children(self._metadata["age"].astype(np.float64), file.labels, file.classes),
            check_patients(file.known_patients),
            self._mixed(),
            check_labels(file.labels, file.groups, file.known_patients),
            check_split(self.split, file.groups, bound=file.spec.split is not None),
            *check_left_out(self.split),
            *check_regrouped(self.split),
            check_pixels(file) or check_exact_copies(file.labels, file.content.columns["pixel_digest"], self.split),
            None if file.spec.from_table else check_quarantine(len(file.content.quarantine), file.images),
            *check_odd(file),
            *check_encoded(self.encoded),
        ]
        return failed_first(one for one in found if one is not None)

    @cached_property
    def _metadata(self) -> dict[str, NDArray[np.generic]]:
        texts = {name: np.array([one or "" for one in self.file.texts(name)]) for name in ("sex", "view_position")}
        return {"age": self.file.content.columns["age"], **texts}

    def _outside(self) -> list[Finding | None]:
        """What is no part of the picture."""
        file, rows = self.file, self.split.tested
        y, groups = file.labels[rows], file.groups[rows]
        there = tested_groups(y, groups, file.classes)
        found = [check_controls(there)]
        told = self.controls.get(CONTAINER)
        if told is None:
            known = file.has_pictures or file.content.columns["container/width"].any()
            found.append(alike() if known else None)
        else:
            scores = control_scores(y, told, groups, file.classes, seed=self.seed)
            if scores["judged"]:  # if not, that there are too few is said once for all
                found.append(check_outside(CONTAINER, SEEN[CONTAINER], REMEDY[CONTAINER], scores))
        for name, column in metadata_columns(self._metadata).items():
            of_known = column_scores(column, file.labels, file.groups, self.split.folds, file.classes, seed=self.seed)
            found.append(check_column(name, column, of_known, there))
        return found

    def _mixed(self) -> Finding:
        """Groups stand for the patients, whose names no feature file holds; copies may have joined two."""
        file, groups, known = self.file, self.file.groups, self.file.known_patients
        columns = file.content.columns
        ages, (sources, _), (sexes, _) = columns["age"].astype(np.float64), file.codes("source"), file.codes("sex")
        _, dates = np.unique(columns["date"], return_inverse=True)
        # Who is the same on all images is one person: of a million, only the others are looked at one by one.
        told = ((sources, sources >= 0), (sexes, sexes >= 0), (ages, ~np.isnan(ages)), (dates, columns["date"] != b""))
        apart = np.logical_or.reduce([differing(values, groups, known & there) for values, there in told])
        rows = np.flatnonzero(known & apart[groups])
        texts = [[file.content.values[name][code] if code >= 0 else None for code in codes[rows].tolist()]
                 for name, codes in (("source", sources), ("sex", sexes))]  # fmt: skip
        aged = [None if np.isnan(age) else age for age in ages[rows].tolist()]
        dated = [date.decode() or None for date in columns["date"][rows].tolist()]
        mixed = mixed_patients(groups[rows].tolist(), texts[0], texts[1], aged, dated)
        mixed = replace(mixed, rows=tuple(tuple(rows[list(some)].tolist()) for some in mixed.rows))
        what = "patients, taken together with those who have copies of their images,"
        return check_mixed(mixed, len(np.unique(groups[known])), what=what)


def check_column(
    name: str, column: Column, scores: Mapping[str, Any] | None, there: Mapping[str, int]
) -> Finding | None:
    """What a column of the metadata says of the class; `None` where `check_controls` says why that is not known.

    Args:
        name: Name of the column, and of the check.
        column: As a control is given it.
        scores: Of `control.column_scores`.
        there: Groups of each class among the images that test, whether the column says anything of them or not.
    """
    gaps = int((~column.known).sum())
    besides = f" It is unknown for {gaps} of {len(column.known)} images, which were left out." if gaps else ""
    if scores is None:
        scores = {"auroc_ci": None, "judged": [], "too_few": dict.fromkeys(there, 0)}
    enough = [one for one, groups in there.items() if groups >= LEAST_GROUPS]
    if not scores["judged"] and len(enough) < 2:
        return None
    unknown = {one: scores["too_few"][one] for one in enough if one in scores["too_few"]}
    if tested(scores) and unknown:
        besides += f" Not all classes could be judged: {too_few(unknown)} for whom it is known."
    return check_outside(name, SEEN[name], REMEDY[name], scores, besides=besides)


def check_pixels(file: FeatureFile) -> Finding | None:
    """What cannot be looked at where features came without pictures of their images; `None` where they did not."""
    if file.has_pictures:
        return None
    return Finding(
        check="pixels",
        status=Status.WARN,
        why="The features came without pictures of their images: copies, blank and dark images and thumbnails were not "
        "looked at.",
        do="Extract the features from the images, or export them with `pictures=True`.",
    )


def alike() -> Finding:
    """What there is to say of files that do not differ."""
    return Finding(check=CONTAINER, status=Status.PASS, why="All files are of one format, size and compression.")


def check_thumbnail(scores: Mapping[str, ControlScores]) -> list[Finding]:
    """What a picture of eight by eight pixels is worth next to a model, once there is one.

    Args:
        scores: As `ShortAudit.control_scores` gives them for a model.
    """
    remedy = (
        "Look at what differs between the classes, and see what helps: cxrfeat audit DATA `cache=FILE` `mitigate=True`."
    )
    if THUMBNAIL not in scores or not scores[THUMBNAIL].judged:
        return []
    return [check_control(THUMBNAIL, SEEN[THUMBNAIL], remedy, to_json(scores[THUMBNAIL]))]


def check_tested(test: FinalEvaluation) -> list[Finding]:
    """What a run's own test says against it, besides what the short audit says of the data."""
    return [*check_thumbnail(test.shortcuts), *check_within(test.within_source), check_outputs(test.outputs)]


def plain_checks(file: FeatureFile, split: Split) -> tuple[Finding, ...]:
    """The checks that apply whatever is known of the images: weights, patients, split, images that could not be used.

    Args:
        file: Whose images.
        split: How they are parted.
    """
    found = (
        check_weights(file.spec.weights),
        check_patients(file.known_patients),
        check_split(split, file.groups, bound=file.spec.split is not None),
        *check_left_out(split),
        *check_regrouped(split),
        None if file.spec.from_table else check_quarantine(len(file.content.quarantine), file.images),
    )
    return tuple(failed_first(one for one in found if one is not None))


def check_weights(weights: str) -> Finding:
    """Whether the network has seen anything before."""
    if weights.startswith("random:"):
        return Finding(
            check="weights",
            status=Status.WARN,
            why="RANDOM WEIGHTS: the network was never trained, so these scores mean nothing.",
            do="Extract with trained weights: cxrfeat extract `weights=imagenet`.",
        )
    if weights.startswith("table:"):
        return Finding(
            check="weights",
            status=Status.WARN,
            why="The features were imported from a table that does not say which network made them: it may have been "
            "trained on the images that test it here.",
            do="Ask those who made them what the network was trained on.",
        )
    return Finding(check="weights", status=Status.PASS, why="The network's weights were loaded from a file.")


def check_split(split: Split, groups: Groups, *, bound: bool = False) -> Finding:
    """Whether a patient, or copies of an image, stand on two sides.

    Args:
        split: What is used.
        groups: `(images,)`.
        bound: Whether the features have seen the training part, so that no other split of them is honest.
    """
    broken = split.torn(groups)
    if broken:
        return Finding(
            check="split",
            status=Status.FAIL,
            value=broken,
            why=f"The split is leaky: {broken} patients or sets of copies have images in more than one part.",
            do="Extract the features again with `split_by=group`, which keeps them together."
            if bound
            else "Keep them together with cxrfeat fit-head `split_by=group`, or repair the given split with "
            "`regroup_given=True`.",
        )
    return Finding(check="split", status=Status.PASS, value=0, why="No patient and no copy is on two sides.")


LEFT_OUT = {
    "column": "Give them a part (column split of metadata.csv), or split all images again with `split_by=group`.",
    "date": "Fill in the column date of metadata.csv, or split all images with `split_by=group`.",
    "bound": "Give them a part and extract again, or extract with a frozen network and `normalize=backbone`.",
}
"""Of each kind of split that can leave images out: what to do."""


def check_left_out(split: Split) -> list[Finding]:
    """Whether images are in no part of a split, so that nobody trains, validates or tests on them.

    Args:
        split: Split of one fold; what folds leave out is said where they are made.

    Returns:
        A warning `dropped parts` that a strict reading refuses; nothing where every image is in a part.
    """
    if split.left_out is None or split.crossed:
        return []
    found = Finding(
        check="dropped parts",
        status=Status.WARN,
        value=split.left_out.images,
        why=split.left_out.why,
        do=LEFT_OUT[split.by],
        strict=True,
    )
    return [found]


def check_regrouped(split: Split) -> list[Finding]:
    """Whether regrouping left a part, or a class in one, notably smaller than it was given: a warning, or nothing."""
    if not split.smaller:
        return []
    remedy = "Split all images again with `split_by=group`, or correct the split of the data by hand."
    return [Finding(check="regroup", status=Status.WARN, value=len(split.smaller), why=split.shrunk, do=remedy)]


def check_exact_copies(labels: Labels, pixel_digests: NDArray[np.uint64], split: Split | None = None) -> Finding:
    """Whether the same pixels carry different labels, how many copies there are, and how many across the split.

    Changed copies take a look at every pair of pictures: that is the whole audit's.

    Args:
        labels: `(images,)` class indices.
        pixel_digests: `(images,)`, as in `image.appearance.Look`.
        split: The one in use; copies are of one group, which folds do not part.
    """
    sets: dict[int, list[int]] = defaultdict(list)
    _, place, count = np.unique(pixel_digests, return_inverse=True, return_counts=True)
    for row in np.flatnonzero(count[place] > 1).tolist():  # the same bytes are the same pixels
        sets[int(pixel_digests[row])].append(row)
    copied = list(sets.values())
    conflicts = sum(len(set(labels[rows].tolist())) > 1 for rows in copied)
    copies = sum(len(rows) - 1 for rows in copied)
    parts = None if split is None or split.crossed else split.parts
    across = 0 if parts is None else sum(len(set(parts[rows].tolist()) & set(Part)) > 1 for rows in copied)
    torn = f" {across} of them have copies in more than one part." if across else ""
    look = "See which, and the changed copies too, with cxrfeat audit DATA `copies=FILE.csv`"
    if conflicts:
        return Finding(
            check="copies",
            status=Status.FAIL,
            value=conflicts,
            why=f"{conflicts} pictures are there more than once with different labels.{torn}",
            do=f"{look}; decide on one label for each and delete the other files.",
        )
    if copies:
        return Finding(
            check="copies",
            status=Status.WARN,
            value=copies,
            why=f"{copies} images are copies of others, byte for byte or pixel for pixel; they count twice.{torn}",
            do=f"{look}; delete the copies.",
        )
    return Finding(
        check="copies", status=Status.PASS, value=0, why="No image is there twice, byte for byte or pixel for pixel."
    )


def check_strangers(strange: Sequence[str], images: int) -> Finding:
    """Whether a feature file holds all images of the folder: the others cannot be judged.

    Args:
        strange: Paths of those that it does not hold.
        images: How many there are in the folder.
    """
    if strange:
        return Finding(
            check="feature file",
            status=Status.WARN,
            value=len(strange),
            why=f"{len(strange)} of {images} images are not in the feature file (new, changed, or set aside when it "
            "was made) and were left out of all that follows.",
            do="Extract the features again: cxrfeat extract.",
            images=tuple(strange),
        )
    return Finding(check="feature file", status=Status.PASS, value=0, why="It holds every image of the folder.")


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

"""How the images of a feature file are parted for training and testing: one piece after another.

A piece has rows to train on, rows to validate on, and rows to test on, groups always whole (but in the paper's own
image-wise split, and in a torn one of the data's own, which the audit fails). The data's own split is kept unless
another is asked for, which is then said; an image that is in no part of it is in no piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.short import check_left_out
from cxrfeat.errors import SplitError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.split import Parts, check_parts, digest, folds, regroup, torn, validation_rows
from cxrfeat.spec import SplitBy, SplitSpec
from cxrfeat.types import Finding, Groups, Labels, Part, Status

Rows = NDArray[np.intp]
"""Ascending row numbers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """One way to train and test."""

    name: str
    """`test`, `fold 0`, `repeat 1 fold 0`, `source GMH`."""
    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """All pieces of one call."""

    pieces: tuple[Piece, ...]
    stored: dict[str, Any]
    """What a run says of its split; equal ones part the images in the same way."""
    parts: Parts | None = None
    """`(images,)` train, validation, test or none, where there is one piece; else `None`."""
    notes: tuple[str, ...] = ()
    """What became of the data's own split, and which images are left out: for the run to say."""
    named: tuple[str, ...] = field(default=())
    """`(images,)` the part, or the piece that tests the image (of the first repeat)."""
    findings: tuple[Finding, ...] = ()
    """What the audit is to say of how the images were parted."""

    @classmethod
    def of(cls, parts: Parts, stored: dict[str, Any], file: FeatureFile, notes: Sequence[str] = ()) -> Self:
        """One piece, from a part for each image; images in no part are counted.

        Args:
            parts: `(images,)`.
            stored: What a run says of the split; `by` names its kind.
            file: The images.
            notes: What else there is to say.
        """
        train, validation, test = (np.flatnonzero(parts == part) for part in Part)
        left_out = check_left_out(parts, file.labels, file.classes, stored["by"])
        return cls(
            pieces=(Piece(name="test", train=train, validation=validation, test=test),),
            stored=stored,
            parts=parts,
            notes=(*(one.why for one in left_out), *notes),
            named=tuple(parts.tolist()),
            findings=tuple(left_out),
        )

    @property
    def crossed(self) -> bool:
        """Whether images take turns in being tested, so that the head to keep is fitted on all of them."""
        return self.parts is None


def part_images(
    file: FeatureFile,
    *,
    by: SplitBy | None = None,
    regroup_given: bool = False,
    fold_count: int | None = None,
    repeats: int = 1,
    source_out: bool = False,
    seed: int = 0,
) -> Pieces:
    """Part the images as asked.

    Args:
        file: The features.
        by: As in `FeatureFile.split`.
        regroup_given: Move groups that the split tears to one side, each part staying about as large as it is.
        fold_count: Grouped cross-validation in so many folds.
        repeats: How often, dealt anew each time.
        source_out: Leave out one source at a time, train on the others, test on it.
        seed: Of the dealing.

    Raises:
        SplitError: If it cannot be done, or the features are bound to another split.
        UsageError: If what is asked for does not go together.
    """
    if repeats < 1:
        raise SplitError(f"`repeats` is at least 1; got {repeats}.")
    if repeats > 1 and fold_count is None:
        raise UsageError(
            "`repeats` repeats a cross-validation: say how many folds, as in `fold_count=5` and `repeats=3`."
        )
    if fold_count is None and not source_out:
        return _parts(file, by, regroup_given=regroup_given, seed=seed)
    field = "source_out" if source_out else "fold_count"
    if source_out and fold_count is not None:
        raise UsageError("`fold_count` and `source_out` part the images in two ways. Leave one of them out.")
    file.refuse_other_split(field)
    if by not in (None, "group") or regroup_given:
        raise UsageError(
            f"`{field}` parts the images itself, patients whole, so neither `split_by` nor `regroup_given` goes with "
            "it. Leave one or the other out."
        )
    crossed = _sources(file, seed) if source_out else _folds(file, fold_count or 0, repeats, seed)
    return replace(
        crossed,
        notes=(
            *_set_aside(file.given_split, "leaving sources out" if source_out else "cross-validation"),
            *crossed.notes,
        ),
    )


def _parts(file: FeatureFile, by: SplitBy | None, *, regroup_given: bool, seed: int) -> Pieces:
    kind, parts, given = file.split_by(by), file.split(seed, by=by), file.given_split
    notes: list[str] = []
    if kind == "column":
        notes += _validation_cut(parts, given)
    elif kind != "bound":
        notes += _set_aside(given, f"a split by {kind}" if kind != "paper" else "the split of the paper")
    findings: list[Finding] = []
    if regroup_given:
        if kind == "bound" and torn(parts, file.groups):
            file.refuse_other_split("regroup_given")
        mended = regroup(parts, file.groups, file.labels)
        notes.append(regrouped(parts, mended, file.groups))
        findings += check_regrouped(parts, mended, file.labels, file.classes)
        parts = mended
    check_parts(parts, file.labels, file.groups, file.classes)
    stored = {"by": kind, "seed": seed, "sha256": digest(parts, file.content_sha256)}
    made = Pieces.of(parts, stored | ({"regroup": True} if regroup_given else {}), file, notes)
    return replace(made, notes=(*made.notes, *(one.why for one in findings)), findings=(*made.findings, *findings))


def _set_aside(given: Sequence[Part | None], asked: str) -> list[str]:
    """That the data's own split is not used, because the user asked for another; nothing where the data have none."""
    if all(part is None for part in given):
        return []
    counts = [(part.value, given.count(part)) for part in Part if part in given]
    counts += [("in no part", given.count(None))] if None in given else []
    there = ", ".join(f"{name} {count}" for name, count in counts)
    return [f"The data's own split ({there}) is not used, since {asked} was asked for."]


def _validation_cut(parts: Parts, given: Sequence[Part | None]) -> list[str]:
    """That the data's own split lacked a validation part."""
    if Part.VALIDATION in given:
        return []
    cut, trained = (int((parts == part).sum()) for part in (Part.VALIDATION, Part.TRAIN))
    return [
        f"The data's own split has no validation part: {cut} of its {cut + trained} training images, patients whole, "
        "are kept for validation."
    ]


def regrouped(before: Parts, after: Parts, groups: Groups) -> str:
    """What regrouping did: how many groups and images it moved, and how large each part was and is."""
    moved = before != after
    if not moved.any():
        return "Regrouping found nothing to mend: no patient and no copy stands on two sides."
    sizes = ", ".join(f"{part} {int((before == part).sum())} -> {int((after == part).sum())}" for part in Part)
    images, people = int(moved.sum()), len(np.unique(groups[moved]))
    what = f"{images} image{'s' * (images > 1)} of {people} patient{'s' * (people > 1)} or set{'s' * (people > 1)}"
    return f"Regrouping moved {what} of copies to one side: {sizes}."


NOTABLE = 0.8
"""A part, or a class in it, that keeps less than this share of its images has become notably smaller."""


def check_regrouped(before: Parts, after: Parts, labels: Labels, classes: Sequence[str]) -> list[Finding]:
    """Whether regrouping left a part, or a class in one, notably smaller than it was given: a warning, or nothing."""
    smaller = []
    for part in Part:
        were, are = (np.bincount(labels[parts == part], minlength=len(classes)) for parts in (before, after))
        if are.sum() < NOTABLE * were.sum():
            smaller.append(f"{part} has {are.sum()} of its {were.sum()} images")
        lost = np.flatnonzero(are < NOTABLE * were).tolist()
        smaller += [f"{part} has {are[label]} of its {were[label]} {classes[label]}" for label in lost]
    if not smaller:
        return []
    why = f"Regrouping left parts notably smaller, since patients are never cut: {', '.join(smaller)}."
    remedy = "Part all images anew with --split-by group, or mend the split of the data by hand."
    return [Finding(check="regroup", status=Status.WARN, value=len(smaller), why=why, do=remedy)]


def _folds(file: FeatureFile, count: int, repeats: int, seed: int) -> Pieces:
    labels, groups, keys = file.labels, file.groups, file.content_sha256
    pieces = []
    numbers = np.empty((repeats, len(labels)), dtype=np.int64)
    for repeat in range(repeats):
        # Another seed for each repeat, and for the first the one of no repeats.
        dealt = seed if repeat == 0 else int(np.random.default_rng([seed, repeat]).integers(2**32))
        for index, (rest, test) in enumerate(folds(labels, groups, file.classes, count, dealt, keys=keys)):
            name = f"fold {index}" if repeats == 1 else f"repeat {repeat} fold {index}"
            pieces.append(_with_validation(file, name, rest, test, seed))
            numbers[repeat, test] = index
    names = [",".join(f"fold {index}" for index in image) for image in numbers.T.tolist()]
    stored = {"by": "folds", "folds": count, "seed": seed, "sha256": digest(np.array(names), keys)}
    return Pieces(
        pieces=tuple(pieces),
        stored=stored | ({"repeats": repeats} if repeats > 1 else {}),
        named=tuple(f"fold {index}" for index in numbers[0].tolist()),
    )


def _sources(file: FeatureFile, seed: int) -> Pieces:
    """One piece for each source that can be left out: every class is still there to learn without it.

    Images of unknown source are in no piece, since they may be from the very source that tests.
    """
    sources, labels, groups = np.array([one or "" for one in file.sources]), file.labels, file.groups
    names = sorted(set(sources.tolist()) - {""})
    if len(names) < 2:
        raise SplitError(
            f"Leaving a source out takes at least two, and the data name {len(names)}. "
            "Fill the column source of metadata.csv, or use `fold_count=5`."
        )
    pieces, notes = [], []
    unknown = sources == ""
    if unknown.any():
        notes.append(
            f"{int(unknown.sum())} of {len(sources)} images are of unknown source and left out: they may be from the "
            "source that tests."
        )
    named = np.full(len(labels), "not tested", dtype=object)
    for name in names:
        test = np.flatnonzero(sources == name)
        rest = np.flatnonzero((sources != name) & ~unknown & ~np.isin(groups, groups[test]))
        lacking = [label for index, label in enumerate(file.classes) if not np.any(labels[rest] == index)]
        if lacking:
            notes.append(f"{name} cannot be left out: without it there is no image of {', '.join(lacking)} to learn.")
            continue
        try:
            pieces.append(_with_validation(file, f"source {name}", rest, test, seed))
        except SplitError as error:
            notes.append(f"{name} cannot be left out: {error}")
            continue
        named[test] = f"source {name}"
    if not pieces:
        raise SplitError(
            "No source can be left out: " + " ".join(notes) + " A head tested on another source needs data in which "
            "every class comes from several."
        )
    stored = {"by": "source-out", "seed": seed, "sha256": digest(named.astype(str), file.content_sha256)}
    if unknown.any():
        stored["unknown_left_out"] = int(unknown.sum())
    return Pieces(pieces=tuple(pieces), stored=stored, notes=tuple(notes), named=tuple(named.tolist()))


def _with_validation(file: FeatureFile, name: str, rest: Rows, test: Rows, seed: int) -> Piece:
    validation = validation_rows(SplitSpec(seed=seed), file.labels, file.groups, rest, file.classes)
    return Piece(name=name, train=np.setdiff1d(rest, validation), validation=validation, test=test)


def check_share(share: float) -> None:
    """Refuse what is no share of the training part.

    Raises:
        SplitError: If it is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise SplitError(f"`sizes` are shares of the training part, above 0 and at most 1; got {share:g}.")


def thinned(piece: Piece, labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int) -> Piece:
    """The piece with a share of its training groups, class by class; a smaller share is part of a larger one.

    Raises:
        SplitError: If the share is not above 0 and at most 1.
    """
    check_share(share)
    keep = []
    rng = np.random.default_rng(seed)
    for label in np.unique(labels[piece.train]):
        rows = piece.train[labels[piece.train] == label]
        order = rng.permutation(np.unique(groups[rows]))
        keep.append(rows[np.isin(groups[rows], order[: max(1, round(share * len(order)))])])
    return Piece(name=piece.name, train=np.sort(np.concatenate(keep)), validation=piece.validation, test=piece.test)

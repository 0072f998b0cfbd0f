"""One `Split`: which images of a data set train, validate and test, once or in folds, and how it came about.

It is a value that checks itself. Whether it was made of a folder, of a feature file or of a run, everybody who trains,
tests, audits or writes takes it from here. How images are assigned is `image.split`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import SplitError
from cxrfeat.image import regroup as regrouping
from cxrfeat.image import split as dealing
from cxrfeat.image.split import NO_PART, Parts, digest
from cxrfeat.run.document import SplitRecord
from cxrfeat.spec import SplitBy, SplitSpec
from cxrfeat.types import Groups, Labels, Part

Rows = NDArray[np.intp]
"""Row numbers of images."""

SplitKind = SplitBy | Literal["bound", "folds", "source-out"]
"""What a split goes by: as asked of `image.split`, or as the features are bound to, or images take turns in testing."""

_CROSSED = ("folds", "source-out")

_LACKING = {
    "column": "no part in the data's own split",
    "date": "no date",
    "bound": "no part in the split that the features are bound to",
}
"""Of each kind of split that can leave images out: what they lack."""

NOTABLE = 0.8
"""A part, or a class in it, that keeps less than this share of its images has become notably smaller."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """One way to train and test: rows of images, none of them twice."""

    name: str
    """`test`, `fold 0`, `repeat 1 fold 0`, `source GMH`."""
    train: Rows
    validation: Rows
    test: Rows

    def __post_init__(self) -> None:
        """Refuse an image on two sides, and let nobody change the rows."""
        for part in Part:
            rows = np.array(getattr(self, part), dtype=np.intp)
            rows.flags.writeable = False
            object.__setattr__(self, part, rows)
        rows = np.concatenate([self.train, self.validation, self.test])
        if len(rows) and (rows.min() < 0 or len(np.unique(rows)) < len(rows)):
            raise ValueError(f"{self.name}: an image trains, validates or tests, and once; rows are not below 0.")

    @classmethod
    def of(cls, parts: Parts, name: str = "test") -> Self:
        """From the part of each image."""
        train, validation, test = (np.flatnonzero(parts == part) for part in Part)
        return cls(name=name, train=train, validation=validation, test=test)

    @classmethod
    def everything(cls, images: int) -> Self:
        """All images train, and none is left to validate or test."""
        return cls(name="all", train=np.arange(images), validation=np.arange(0), test=np.arange(0))

    def only(self, kept: NDArray[np.bool_]) -> Fold:
        """The fold without the images that are not kept, `(images,)`."""
        train, validation, test = (rows[kept[rows]] for rows in (self.train, self.validation, self.test))
        return Fold(name=self.name, train=train, validation=validation, test=test)

    def thinned(self, labels: Labels, groups: Groups, share: float, seed: int) -> Fold:
        """The fold with a share of its training groups, class by class; a smaller share is part of a larger one.

        Args:
            labels: `(images,)` class indices.
            groups: `(images,)`.
            share: Above 0 and at most 1.
            seed: Seed of the choice.

        Raises:
            SplitError: If there is no such share.
        """
        check_share(share)
        keep = []
        rng = np.random.default_rng(seed)
        for label in np.unique(labels[self.train]):
            rows = self.train[labels[self.train] == label]
            order = rng.permutation(np.unique(groups[rows]))
            keep.append(rows[np.isin(groups[rows], order[: max(1, round(share * len(order)))])])
        return replace(self, train=np.sort(np.concatenate(keep)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Images on which nobody trains, validates or tests."""

    images: int
    why: str
    """A sentence that counts them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """How the images of a data set are divided.

    Either each image is in one part, of which some may be in none; or images take turns in testing (`crossed`), each by
    a head that has not seen its group, and the head to keep is fitted on all of them.

    Example:
        >>> parts = np.array(["train", "validation", "test", "none"])
        >>> split = Split.of(parts, "abcd", np.array([0, 1, 0, 1]), ("COVID", "NORMAL"), by="column", seed=0)
        >>> split.folds[0].test.tolist(), split.left_out.why
        ([2], "1 of 4 images (1 NORMAL) has no part in the data's own split, and is left out of train, validation and test.")
    """  # noqa: E501  # what a doctest prints is one line

    contents: Sequence[str]
    """SHA-256 of each image's bytes."""
    folds: tuple[Fold, ...]
    """One for each time that heads are trained and tested; those of a repeat together."""
    by: SplitKind
    seed: int
    repeats: int = 1
    """How often cross-validation was assigned anew."""
    regrouped: bool = False
    """Whether groups that the split tore were moved to one side."""
    left_out: LeftOut | None = None
    said: tuple[str, ...] = ()
    """What else there is to know of it, in sentences."""
    smaller: tuple[str, ...] = ()
    """What regrouping left notably smaller, as `train has 32 of its 44 images`."""

    def __post_init__(self) -> None:
        """Refuse folds that are none of these images, or that test an image twice where each is to be tested once."""
        object.__setattr__(self, "contents", tuple(self.contents))
        if not self.crossed and len(self.folds) != 1:
            raise ValueError(f"A split by {self.by} has one fold; got {len(self.folds)}.")
        if not self.folds or self.repeats < 1 or len(self.folds) % self.repeats:
            raise ValueError(f"{len(self.folds)} folds are not {self.repeats} times as many.")
        for fold in self.folds:
            if max(int(rows.max(initial=-1)) for rows in (fold.train, fold.validation, fold.test)) >= self.images:
                raise ValueError(f"{fold.name} has rows of images beyond the {self.images} that there are.")
        times = np.bincount(self.tested, minlength=self.images)
        if self.by == "folds" and not (times == self.repeats).all():
            raise ValueError("Cross-validation tests every image once in each repeat.")
        if times.max(initial=0) > self.repeats:
            raise ValueError("An image is tested once.")

    @classmethod
    def of(
        cls,
        parts: Parts,
        contents: Sequence[str],
        labels: Labels,
        classes: Sequence[str],
        *,
        by: SplitKind,
        seed: int,
        regrouped: bool = False,
        said: Sequence[str] = (),
    ) -> Self:
        """From the part of each image; images in no part are counted.

        Args:
            parts: `(images,)` values of `Part`, or `NO_PART`.
            contents: SHA-256 of each image's bytes.
            labels: `(images,)` class indices.
            classes: Class names.
            by: What the split goes by.
            seed: It was made with.
            regrouped: Whether groups that it tore were moved to one side.
            said: What else there is to say.
        """
        if not set(np.unique(parts).tolist()) <= {*Part, NO_PART}:
            raise ValueError(f"An image is in one of {', '.join(Part)}, or in {NO_PART}.")
        return cls(
            contents=contents,
            folds=(Fold.of(parts),),
            by=by,
            seed=seed,
            regrouped=regrouped,
            left_out=_left_out(parts, labels, classes, by),
            said=tuple(said),
        )

    @property
    def images(self) -> int:
        """How many images there are, those in no part too."""
        return len(self.contents)

    @property
    def crossed(self) -> bool:
        """Whether images take turns in being tested, so that the head to keep is fitted on all of them."""
        return self.by in _CROSSED

    @cached_property
    def tested(self) -> Rows:
        """Rows of the images that test, fold after fold."""
        return np.concatenate([fold.test for fold in self.folds])

    @cached_property
    def parts(self) -> Parts:
        """`(images,)` the part of each image, `none` if it has none; where they take turns, the fold that tests it."""
        if self.crossed:
            return np.array(self._tested_by(0))
        (fold,) = self.folds
        parts = np.full(self.images, NO_PART, dtype="<U10")
        for part in Part:
            parts[getattr(fold, part)] = part.value
        return parts

    @cached_property
    def sha256(self) -> str:
        """Names the split: equal ones part the same contents in the same way."""
        if self.repeats == 1:
            return digest(self.parts, self.contents)
        columns = [self._tested_by(repeat) for repeat in range(self.repeats)]
        return digest(np.array([",".join(names) for names in zip(*columns, strict=True)]), self.contents)

    def only(self, kept: NDArray[np.bool_], table: ImageTable) -> Split:
        """The same split of some of its images; each stays in its part.

        Args:
            kept: `(images,)` which.
            table: Of those alone.
        """
        tested = int(np.count_nonzero(~kept[np.unique(self.tested)]))
        said = (
            f"{tested} of the images that were left out would have been tested: without them scores may be better "
            "than they are on images that nobody looked through.",
        )
        said = (*self.said, *(said if tested else ()))
        if not self.crossed:
            parts = self.parts[kept]
            return Split.of(
                parts, table.contents, table.labels, table.classes,
                by=self.by, seed=self.seed, regrouped=self.regrouped, said=said,
            )  # fmt: skip
        number = np.cumsum(kept) - 1
        folds = []
        for fold in self.folds:
            train, validation, test = (number[rows[kept[rows]]] for rows in (fold.train, fold.validation, fold.test))
            folds.append(Fold(name=fold.name, train=train, validation=validation, test=test))
        return replace(self, contents=table.contents, folds=tuple(folds), said=said)

    @property
    def record(self) -> SplitRecord:
        """What a run says of how it was made."""
        return SplitRecord(
            by=self.by,
            seed=self.seed,
            sha256=self.sha256,
            regroup=self.regrouped,
            folds=len(self.folds) // self.repeats if self.by == "folds" else 0,
            repeats=self.repeats,
            unknown_left_out=self.left_out.images if self.by == "source-out" and self.left_out is not None else 0,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a run says of its split, in sentences: who is left out, what became of the data's own split."""
        left_out = () if self.left_out is None else (self.left_out.why,)
        return (*left_out, *self.said, *([self.shrunk] if self.smaller else []))

    @property
    def shrunk(self) -> str:
        """What regrouping made notably smaller, in a sentence."""
        return f"Regrouping left parts notably smaller, since patients are never cut: {', '.join(self.smaller)}."

    def torn(self, groups: Groups) -> int:
        """How many groups lie in more than one part, and so leak from one to another; folds are of whole groups."""
        return 0 if self.crossed else regrouping.torn(self.parts, groups)

    def _tested_by(self, repeat: int) -> list[str]:
        """For each image the fold of a repeat that tests it."""
        count = len(self.folds) // self.repeats
        names = np.full(self.images, "not tested", dtype=object)
        for number, fold in enumerate(self.folds[repeat * count : (repeat + 1) * count]):
            names[fold.test] = f"fold {number}" if self.by == "folds" else fold.name
        return [str(name) for name in names]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageTable:
    """What images can be divided by: one row each, whether a folder or a feature file describes them."""

    contents: Sequence[str]
    """SHA-256 of each image's bytes, so that a split depends on the images, and not on the order of their rows."""
    labels: Labels
    groups: Groups
    classes: Sequence[str]
    given: Sequence[Part | None]
    """The data's own parts."""
    dates: Sequence[str | None]
    """ISO."""
    sources: Sequence[str | None]


def parted(table: ImageTable, spec: SplitSpec) -> Split:
    """Put each image into one part, as `image.split.split` does.

    Raises:
        SplitError: If it cannot be done with every class in every part.
    """
    parts = dealing.split(
        spec, table.labels, table.groups, table.classes, dates=table.dates, column=table.given, keys=table.contents
    )
    said = _validation_cut(parts, table.given) if spec.by == "column" else []
    return Split.of(parts, table.contents, table.labels, table.classes, by=spec.by, seed=spec.seed, said=said)


def regroup(split: Split, table: ImageTable) -> Split:
    """Move groups that a split tears to one side, and say what that did to its parts; see `image.regroup`."""
    before, labels = split.parts, table.labels
    after = regrouping.regroup(before, table.groups, labels)
    said = (*split.said, _moved(before, after, table.groups))
    mended = Split.of(
        after, split.contents, labels, table.classes, by=split.by, seed=split.seed, regrouped=True, said=said
    )
    smaller = []
    for one in Part:
        were, are = (np.bincount(labels[parts == one], minlength=len(table.classes)) for parts in (before, after))
        if are.sum() < NOTABLE * were.sum():
            smaller.append(f"{one} has {are.sum()} of its {were.sum()} images")
        lost = np.flatnonzero(are < NOTABLE * were).tolist()
        smaller += [f"{one} has {are[label]} of its {were[label]} {table.classes[label]}" for label in lost]
    return replace(mended, smaller=tuple(smaller))


def check_share(share: float) -> None:
    """Refuse what is no share of the training part.

    Raises:
        SplitError: If it is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise SplitError(f"`sizes` are shares of the training part, above 0 and at most 1; got {share:g}.")


def _left_out(parts: Parts, labels: Labels, classes: Sequence[str], by: SplitKind) -> LeftOut | None:
    outside = np.bincount(labels[parts == NO_PART], minlength=len(classes))
    count = int(outside.sum())
    if not count:
        return None
    of_class = ", ".join(f"{number} {name}" for name, number in zip(classes, outside.tolist(), strict=True) if number)
    one = count == 1
    why = (
        f"{count} of {len(parts)} images ({of_class}) {'has' if one else 'have'} "
        f"{_LACKING.get(by, 'no part in the split')}, and {'is' if one else 'are'} left out of train, validation and "
        "test."
    )
    return LeftOut(images=count, why=why)


def _validation_cut(parts: Parts, given: Sequence[Part | None]) -> list[str]:
    """That the data's own split lacked a validation part."""
    if Part.VALIDATION in given:
        return []
    cut, trained = (int((parts == part).sum()) for part in (Part.VALIDATION, Part.TRAIN))
    return [
        f"The data's own split has no validation part: {cut} of its {cut + trained} training images, patients whole, "
        "are kept for validation."
    ]


def _moved(before: Parts, after: Parts, groups: Groups) -> str:
    """What regrouping did: how many groups and images it moved, and how large each part was and is."""
    moved = before != after
    if not moved.any():
        return "Regrouping found nothing to repair: no patient and no copy is on two sides."
    sizes = ", ".join(f"{part} {int((before == part).sum())} -> {int((after == part).sum())}" for part in Part)
    images, people = int(moved.sum()), len(np.unique(groups[moved]))
    what = f"{images} image{'s' * (images > 1)} of {people} patient{'s' * (people > 1)} or set{'s' * (people > 1)}"
    return f"Regrouping moved {what} of copies to one side: {sizes}."

"""Cached features in memory, and which rows of them a fold trains and tests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.excluded import excluded_rows
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Fold, Rows
from cxrfeat.feature.target import LABEL, Target, Uncertain, find_target
from cxrfeat.head.balance import Balance
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.system.given import PathLike, one_or_many
from cxrfeat.types import Features, Probabilities


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """The features of a file in memory: what all heads of one call are trained and tested on."""

    file: FeatureFile
    X: NDArray[np.float32]
    """`(images, views, dim)`."""
    tta: bool = False
    classes: tuple[str, ...] = ()
    """The classes that were chosen of the file's; empty where all were."""
    target: str = LABEL
    """What is to be told of the images; it is the class in `file`."""
    uncertain: Uncertain = "ignore"
    """What an uncertain finding counts as."""
    excluded: tuple[str, ...] = ()
    """Ids of the images that the user left out, sorted."""
    balance: Balance | None = None
    """What the class shall be independent of in training."""
    notes: tuple[str, ...] = ()
    """What was left out of the file, in sentences."""
    novelties: dict[bytes, Novelty] = field(default_factory=dict)
    """By the numbers of the rows they were learned from."""

    @property
    def plain(self) -> Features:
        """`(images, dim)` features of the plain views."""
        return self.X[:, 0]

    def training(self, fold: Fold) -> TrainingSet:
        """The rows of a fold to train and to validate on."""
        y = self.file.labels
        rows, held = fold.train, fold.validation
        return TrainingSet(self.X[rows], y[rows], self.plain[held], y[held], self.file.classes, self.weights(fold))

    def weights(self, fold: Fold) -> NDArray[np.float64] | None:
        """`(train,)` a weight for each image of a fold to train on; `None` is 1 for all."""
        return None if self.balance is None else self.balance.weights(fold.train, self.file.labels)

    def novelty(self, fold: Fold) -> Novelty:
        """Where the images lie that are trained on, learned once for all heads."""
        key = fold.train.tobytes()
        if key not in self.novelties:
            self.novelties[key] = Novelty.fit(self.plain[fold.train], self.file.groups[fold.train])
        return self.novelties[key]

    def probabilities(self, head: FittedHead, rows: Rows) -> Probabilities:
        """`(rows, classes)`, by the plain view or as the mean over views."""
        return self.mean_over_views(head.predict_proba, rows)

    def mean_over_views(self, predict: Callable[[Features], NDArray[np.float64]], rows: Rows) -> NDArray[np.float64]:
        """What `predict` gives for the plain view, or its mean over views."""
        if not self.tta:
            return predict(self.X[rows, 0])
        flat = self.X[rows].reshape(-1, self.X.shape[2])
        mean: NDArray[np.float64] = predict(flat).reshape(len(rows), self.X.shape[1], -1).mean(axis=1)
        return mean

    @property
    def source_codes(self) -> NDArray[np.int64]:
        """`(images,)` a number for each source, -1 where it is unknown."""
        return self.file.content.columns["source"].astype(np.int64)


def load(
    file: FeatureFile,
    *,
    tta: bool = False,
    classes: str | Iterable[str] = (),
    exclude: PathLike | None = None,
    balance_by: str | Iterable[str] = (),
    target: str = LABEL,
    uncertain: Uncertain = "ignore",
) -> Data:
    """Read the features of a file, for fits.

    Args:
        file: Open.
        tta: Ask for the mean probability over the views in place of the plain view's.
        classes: Take the images of these classes only; empty is all.
        exclude: A table of images to leave out, as `feature.excluded` reads it.
        balance_by: Columns that the class shall be independent of in training, as `feature.column` reads them.
        target: What to predict, as `find_target` takes it; images for which it is unknown are left out.
        uncertain: What an uncertain finding counts as.

    Returns:
        The data, whose `file` is the one to continue with.

    Raises:
        InputError: If it holds one class only, a class is not there, or a row is not finite.
        UsageError: If there is no such target, or it is a number, or no such column to balance by.
        IntegrityError: If a row is not what was written.
    """
    asked = find_target(file, target, uncertain)
    if asked.name != LABEL:
        data = load(_of_target(file, asked), tta=tta, classes=classes, exclude=exclude, balance_by=balance_by)
        unknown = int((~asked.known).sum())
        is_ = "is" if unknown == 1 else "are"
        told = f"{unknown} of {file.images} images, of which {asked.name!r} is not known, {is_} left out."
        return replace(data, target=asked.name, uncertain=uncertain, notes=(*((told,) if unknown else ()), *data.notes))
    named: list[str] = one_or_many(classes)
    if named:
        some = file.of_classes(named)
        if some.classes != file.classes:
            counts = np.bincount(file.labels, minlength=len(file.classes)).tolist()
            others = {name: count for name, count in zip(file.classes, counts, strict=True) if name not in some.classes}
            told = ", ".join(f"{name} {count}" for name, count in others.items())
            note = f"{sum(others.values())} of {file.images} images are of other classes and left out: {told}."
            of_some = load(some, tta=tta, exclude=exclude, balance_by=balance_by)
            return replace(of_some, classes=some.classes, notes=(note, *of_some.notes))
    excluded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if exclude is not None:
        rows = excluded_rows(file, exclude)
        if rows:
            excluded = tuple(sorted(file.image_ids[row] for row in rows))
            notes = (_left_out(file, rows),)
            file = file.without(rows)
    present = np.unique(file.labels)
    if len(present) < 2:  # the others were left out
        raise InputError(
            f"{file.path} holds one class only ({file.classes[present[0]]}); telling classes apart takes two."
        )
    columns: list[str] = one_or_many(balance_by)
    balance = Balance.of_file(file, columns) if columns else None
    if balance is not None:
        notes = (*notes, *balance.notes(np.arange(file.images), file.labels))
    return Data(file=file, X=file.read(), tta=tta, excluded=excluded, balance=balance, notes=notes)


def _of_target(file: FeatureFile, target: Target) -> FeatureFile:
    if target.numeric:
        raise UsageError(
            f"{target.name!r} is a number, to which no head of classes can be fitted. `cxrfeat fit-head` with "
            f"`target={target.name}` predicts it by regression."
        )
    return file.of_target(target)


def _left_out(file: FeatureFile, rows: Sequence[int]) -> str:
    counts = np.bincount(file.labels[list(rows)], minlength=len(file.classes)).tolist()
    told = ", ".join(f"{name} {count}" for name, count in zip(file.classes, counts, strict=True) if count)
    return (
        f"{len(rows)} of {file.images} images {'is' if len(rows) == 1 else 'are'} left out as `exclude` says: {told}."
    )

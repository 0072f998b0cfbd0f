"""Splits in which images take turns in testing: folds, sources left out, and folds inside a fold."""

from __future__ import annotations

import numpy as np

from cxrfeat.errors import SplitError
from cxrfeat.feature.split import Fold, ImageTable, LeftOut, Rows, Split
from cxrfeat.image.split import folds, validation_rows
from cxrfeat.spec import SplitSpec


def cross_validate(table: ImageTable, count: int, *, repeats: int = 1, seed: int = 0) -> Split:
    """Grouped folds, each tested once in each repeat.

    Raises:
        SplitError: If a class has too few groups.
    """
    found = []
    for repeat in range(repeats):
        # Another seed for each repeat, and for the first the one of no repeats.
        dealt = seed if repeat == 0 else int(np.random.default_rng([seed, repeat]).integers(2**32))
        each = folds(table.labels, table.groups, table.classes, count, dealt, keys=table.contents)
        for index, (rest, test) in enumerate(each):
            name = f"fold {index}" if repeats == 1 else f"repeat {repeat} fold {index}"
            found.append(_with_validation(table, name, rest, test, seed))
    return Split(contents=table.contents, folds=tuple(found), by="folds", seed=seed, repeats=repeats)


def leave_sources_out(table: ImageTable, seed: int = 0) -> Split:
    """One fold for each source that can be left out: every class is still there to learn without it.

    Images of unknown source are in no fold, since they may be from the very source that tests.

    Raises:
        SplitError: If no source can be.
    """
    sources, labels, groups = np.array([one or "" for one in table.sources]), table.labels, table.groups
    names = sorted(set(sources.tolist()) - {""})
    if len(names) < 2:
        raise SplitError(
            f"Leaving a source out takes at least two, and the data name {len(names)}. "
            "Fill in the column source of metadata.csv, or use `fold_count=5`."
        )
    unknown = sources == ""
    left_out = None
    if unknown.any():
        why = (
            f"{int(unknown.sum())} of {len(sources)} images are of unknown source and left out: they may be from the "
            "source that tests."
        )
        left_out = LeftOut(images=int(unknown.sum()), why=why)
    found, said = [], []
    for name in names:
        test = np.flatnonzero(sources == name)
        rest = np.flatnonzero((sources != name) & ~unknown & ~np.isin(groups, groups[test]))
        lacking = [label for index, label in enumerate(table.classes) if not np.any(labels[rest] == index)]
        if lacking:
            said.append(f"{name} cannot be left out: without it there is no image of {', '.join(lacking)} to learn.")
            continue
        try:
            found.append(_with_validation(table, f"source {name}", rest, test, seed))
        except SplitError as error:
            said.append(f"{name} cannot be left out: {error}")
    if not found:
        raise SplitError(
            f"No source can be left out: {' '.join([*([left_out.why] if left_out else []), *said])} A head tested on "
            "another source needs data in which every class comes from several."
        )
    return Split(
        contents=table.contents, folds=tuple(found), by="source-out", seed=seed, left_out=left_out, said=tuple(said)
    )


def nested_folds(table: ImageTable, fold: Fold, count: int, seed: int) -> list[Fold]:
    """Part the training and validation images of a fold in grouped folds, each with a validation part of its own.

    Args:
        table: The images.
        fold: Of which the test images stay out.
        count: How many inner folds.
        seed: Seed of the assignment; the order of the images does not matter.

    Raises:
        SplitError: If a class has fewer groups than there are folds.
    """
    rows = np.sort(np.concatenate([fold.train, fold.validation]))
    keys = [table.contents[row] for row in rows.tolist()]
    dealt = folds(table.labels[rows], table.groups[rows], table.classes, count, seed, keys=keys)
    return [
        _with_validation(table, f"inner fold {number}", rows[rest], rows[held], seed)
        for number, (rest, held) in enumerate(dealt)
    ]


def _with_validation(table: ImageTable, name: str, rest: Rows, test: Rows, seed: int) -> Fold:
    validation = validation_rows(SplitSpec(seed=seed), table.labels, table.groups, rest, table.classes)
    return Fold(name=name, train=np.setdiff1d(rest, validation), validation=validation, test=test)

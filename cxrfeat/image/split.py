"""The only place that parts images into train, validation and test.

The data's own split is never replaced unasked: images to which it gives no part are in no part (`NO_PART`), and whoever
parts images so says how many they are. Works on arrays, so a split can be made from a folder or from a feature file
alike. Where `keys` (content hashes) are given, the outcome depends on the set of images and not on the order of their
rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import SplitError
from cxrfeat.image.deal import canonical, cuts, deal, renumbered
from cxrfeat.image.folder import near_equal
from cxrfeat.spec import SplitBy, SplitSpec
from cxrfeat.types import Groups, Labels, Part

Parts = NDArray[np.str_]
"""`(n,)` values of `Part`, as text; `NO_PART` for an image that is in none."""

NO_PART = "none"
"""What `Parts` say of an image that is in no part: nobody trains, validates or tests on it."""

_Rows = NDArray[np.int64]
_PARTS = tuple(Part)
_NAMES = np.array([*(part.value for part in _PARTS), NO_PART])
_PERMUTE, _DEAL_TEST, _DEAL_VALIDATION, _DEAL_FOLDS = range(4)  # each draws from a stream of its own


def split(
    spec: SplitSpec,
    labels: Labels,
    groups: Groups,
    classes: Sequence[str],
    *,
    dates: Sequence[str | None] | None = None,
    column: Sequence[Part | None] | None = None,
    keys: Sequence[str] | None = None,
) -> Parts:
    """Part images as `spec` says.

    By group, the images fall into n stratified folds of whole groups, and k of them are the test part, k/n being the
    fraction nearest to the share with n at most 20 (0.2 is 1/5, 0.3 is 3/10). The validation part is cut from the rest
    the same way. If some class is missing in some part, the other folds are tried in order, then fewer folds: the parts
    of a small data set come out larger than asked for, rather than without a class.

    By date, whole groups, in order of their newest image, fill the test part from the newest on until it is nearest to
    its share; images without a date are in no part. By column, images without a part stay in none, and a missing
    validation part is cut from the training part, groups whole. By paper, images are permuted one by one; the last of
    the training part are its validation part, as Keras cuts it.

    Args:
        spec: How, how much, and the seed.
        labels: `(n,)` indices into `classes`.
        groups: `(n,)`; images of one group stay together, except by paper, and by a column that divides them.
        classes: Class names, for the messages.
        dates: ISO dates, needed by date; `None` or empty where unknown.
        column: The data's own parts, needed by column; `None` where an image has none.
        keys: A text for each image that does not depend on its place, such as its content hash.

    Returns:
        `(n,)` of `train`, `validation`, `test`, and by date or by column `none`.

    Raises:
        SplitError: If it cannot be done with every class in every part, or no image has a date or a part.

    Example:
        >>> labels, groups = np.repeat([0, 1], 50), np.arange(100)
        >>> parts = split(SplitSpec(), labels, groups, ["NORMAL", "COVID"])
        >>> [int((parts == part).sum()) for part in Part]
        [72, 8, 20]
    """
    if not len(labels):
        raise SplitError("There are no images to split.")
    rows = _within(spec, len(labels), dates, column)
    try:
        inside = _split(
            spec,
            labels[rows],
            groups[rows],
            classes,
            dates=None if dates is None else [dates[row] for row in rows],
            column=None if column is None else [column[row] for row in rows],
            keys=None if keys is None else [keys[row] for row in rows],
        )
    except SplitError as error:
        if len(rows) == len(labels):
            raise
        outside = "no date" if spec.by == "date" else "no part in the data's own split"
        raise SplitError(f"{error} ({len(labels) - len(rows)} of {len(labels)} images have {outside}.)") from error
    parts = np.full(len(labels), NO_PART, dtype=_NAMES.dtype)
    parts[rows] = inside
    return parts


def own_way(by: SplitBy | None, column: Sequence[Part | None]) -> SplitBy:
    """How images are divided: as asked; else as the data's own split says, if it gives any image a part; else by group.

    Args:
        by: What was asked for.
        column: The data's own parts.

    Example:
        >>> own_way(None, [Part.TRAIN, None]), own_way(None, [None, None]), own_way("group", [Part.TRAIN])
        ('column', 'group', 'group')
    """
    return by or ("column" if any(part is not None for part in column) else "group")


def folds(
    labels: Labels,
    groups: Groups,
    classes: Sequence[str],
    count: int,
    seed: int,
    *,
    keys: Sequence[str] | None = None,
) -> list[tuple[_Rows, _Rows]]:
    """Part images into stratified folds of whole groups, each the test part once.

    Args:
        labels: `(n,)` indices into `classes`.
        groups: `(n,)`; images of one group stay together.
        classes: Class names, for the messages.
        count: How many folds, at least 2.
        seed: Seed of the order in which groups are assigned.
        keys: As in `split`.

    Returns:
        For each fold the rows to train on and the rows to test on, ascending.

    Raises:
        SplitError: If a class has fewer groups than there are folds.
    """
    if count < 2:
        raise SplitError(f"Cross-validation needs at least 2 folds; got {count}.")
    present = _groups_per_class(labels, groups, len(classes))
    for name, number in zip(classes, present, strict=True):
        if number < count:
            raise SplitError(
                f"Class {name!r} has {number} {_groups_word(number)}, fewer than the {count} folds asked for, "
                f"and a group is never cut. Ask for {number} folds or fewer, or leave that class out with `classes`."
                f"{_one_class(name, classes)}"
            )
    order = canonical(labels, groups, keys)
    dealt = deal(labels[order], renumbered(groups[order]), count, (seed, _DEAL_FOLDS))
    fold = np.empty_like(dealt)
    fold[order] = dealt
    result = [(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in range(count)]
    for train, _ in result:
        for index in np.setdiff1d(np.unique(labels), labels[train]).tolist():
            raise SplitError(
                f"All images of class {classes[index]!r} fall into one of the {count} folds, so nothing is left to "
                "learn it from. Ask for fewer folds, or leave that class out with `classes`."
                f"{_one_class(classes[index], classes)}"
            )
    return result


def validation_rows(spec: SplitSpec, labels: Labels, groups: Groups, rows: _Rows, classes: Sequence[str]) -> _Rows:
    """Which of `rows`, the training rows of a fold, to keep for validation: whole groups, every class among them.

    Raises:
        SplitError: If the rows cannot be divided so that both sides have every class.
    """
    chosen = _validation(spec, labels, groups, rows, classes)
    if chosen is None:
        raise _impossible(labels[rows], groups[rows], classes, "in the training part of a fold, ")
    return chosen


def check_parts(parts: Parts, labels: Labels, groups: Groups, classes: Sequence[str]) -> None:
    """Refuse a split in which some class is missing in some part; images in no part do not count.

    Raises:
        SplitError: Naming the class, the part, how many groups the class has, and what to do.
    """
    inside = parts != NO_PART
    parts, labels, groups = parts[inside], labels[inside], groups[inside]
    present = _groups_per_class(labels, groups, len(classes))
    for part in reversed(_PARTS):  # the test part first: what it lacks is the graver
        missing = np.setdiff1d(np.arange(len(classes)), labels[parts == part]).tolist()
        if missing:
            index = missing[0]
            raise SplitError(
                f"No image of class {classes[index]!r} falls into the {part} part: the class has "
                f"{int((labels == index).sum())} images in {present[index]} {_groups_word(int(present[index]))}. Every "
                "class is needed in every part. Add images of that class, try another `seed` or `split_by=group`, "
                f"or leave the class out with `classes`.{_one_class(classes[index], classes)}"
            )


def digest(parts: Parts, content_sha256: Sequence[str]) -> str:
    """64 hexadecimal digits that name a split by which contents are in which part, whatever their order or paths.

    Images in no part are no part of the split: with more or fewer of them it is the same.
    """
    pairs = zip(content_sha256, parts.tolist(), strict=True)
    lines = sorted(f"{content} {part}\n" for content, part in pairs if part != NO_PART)
    return hashlib.sha256("".join(("cxrfeat split\n", *lines)).encode()).hexdigest()


def _within(
    spec: SplitSpec, images: int, dates: Sequence[str | None] | None, column: Sequence[Part | None] | None
) -> _Rows:
    """The rows that a split is of: those with a date, or with a part of the data's own split, where it goes by these.

    Raises:
        SplitError: If there is none.
    """
    if spec.by == "date":
        known, lacking, name = [bool(date) for date in dates or ()], "no date, so they cannot be split by date", "date"
    elif spec.by == "column":
        known, lacking, name = [part is not None for part in column or ()], "no part in the data's own split", "split"
    else:
        return np.arange(images)
    if not any(known):
        values = " (train, validation, test)" if spec.by == "column" else ""
        raise SplitError(
            f"{images} of {images} images have {lacking}. "
            f"Fill in the column {name} of metadata.csv{values}, or use `split_by=group`."
        )
    return np.flatnonzero(known)


def _split(
    spec: SplitSpec,
    labels: Labels,
    groups: Groups,
    classes: Sequence[str],
    *,
    dates: Sequence[str | None] | None,
    column: Sequence[Part | None] | None,
    keys: Sequence[str] | None,
) -> Parts:
    """As `split`, of images that all have what it goes by."""
    _check_classes(labels, groups, classes, whole_groups=spec.by in ("group", "date"))
    order = canonical(labels, groups, keys)
    labels, groups = labels[order], renumbered(groups[order])
    if spec.by == "column":
        ordered = _by_column(spec, labels, groups, classes, [(column or ())[row] for row in order])
    elif spec.by == "date":
        ordered = _by_date(spec, labels, groups, classes, [(dates or ())[row] for row in order])
    elif spec.by == "paper":
        ordered = _by_paper(spec, len(labels))
    else:
        ordered = _by_group(spec, labels, groups, classes)
    check_parts(ordered, labels, groups, classes)
    parts = np.empty_like(ordered)
    parts[order] = ordered
    return parts


def _by_group(spec: SplitSpec, labels: Labels, groups: Groups, classes: Sequence[str]) -> Parts:
    places = np.zeros(len(labels), dtype=np.int64)
    for test in cuts(labels, groups, spec.test, (spec.seed, _DEAL_TEST)):
        rest = np.flatnonzero(~test)
        # Every class must be in the test part, and in two groups of the rest: one to train on, one for validation.
        if _holds_all(labels[test], classes) and _groups_per_class(labels[rest], groups[rest], len(classes)).min() > 1:
            validation = _validation(spec, labels, groups, rest, classes)
            if validation is not None:
                places[test], places[validation] = _PARTS.index(Part.TEST), _PARTS.index(Part.VALIDATION)
                return _NAMES[places]
    raise _impossible(labels, groups, classes)


def _by_date(
    spec: SplitSpec, labels: Labels, groups: Groups, classes: Sequence[str], dates: Sequence[str | None]
) -> Parts:
    newest: dict[int, str] = {}
    for index, date in zip(groups.tolist(), dates, strict=True):
        newest[index] = max(newest.get(index, ""), date or "")
    sizes = np.bincount(groups)
    wanted = spec.test * len(labels)
    count = 0
    test_groups: list[int] = []
    for index in sorted(newest, key=lambda index: (newest[index], index), reverse=True):
        if test_groups and abs(count + sizes[index] - wanted) > abs(count - wanted):
            break
        test_groups.append(index)
        count += int(sizes[index])
    test = np.isin(groups, test_groups)
    places = np.where(test, _PARTS.index(Part.TEST), 0)
    if _holds_all(labels[test], classes):  # if not, `check_parts` says which class is missing
        validation = _validation(spec, labels, groups, np.flatnonzero(~test), classes)
        if validation is None:
            raise _impossible(labels[~test], groups[~test], classes, "outside the newest images, ")
        places[validation] = _PARTS.index(Part.VALIDATION)
    return _NAMES[places]


def _by_column(
    spec: SplitSpec, labels: Labels, groups: Groups, classes: Sequence[str], column: Sequence[Part | None]
) -> Parts:
    places = np.array([_PARTS.index(part) for part in column if part is not None], dtype=np.int64)
    for part in (Part.TRAIN, Part.TEST):
        if not np.any(places == _PARTS.index(part)):
            raise SplitError(
                f"The data's own split has no {part} part, only {', '.join(sorted(set(_NAMES[places].tolist())))}. "
                "Add one, or use `split_by=group`."
            )
    if not np.any(places == _PARTS.index(Part.VALIDATION)):
        validation = _validation(spec, labels, groups, np.flatnonzero(places == 0), classes)
        if validation is None:
            raise _impossible(labels[places == 0], groups[places == 0], classes, "in the data's own train part, ")
        places[validation] = _PARTS.index(Part.VALIDATION)
    return _NAMES[places]


def _by_paper(spec: SplitSpec, count: int) -> Parts:
    shuffled = np.random.default_rng((spec.seed, _PERMUTE)).permutation(count)
    test = int(np.ceil(count * spec.test))  # as scikit-learn's train_test_split rounds
    train = int((count - test) * (1.0 - spec.validation))  # as Keras cuts validation_split
    places = np.zeros(count, dtype=np.int64)
    places[shuffled[:test]] = _PARTS.index(Part.TEST)
    places[shuffled[test + train :]] = _PARTS.index(Part.VALIDATION)
    return _NAMES[places]


def _validation(spec: SplitSpec, labels: Labels, groups: Groups, rest: _Rows, classes: Sequence[str]) -> _Rows | None:
    """Which of the rows `rest` are for validation, so that every class is in both halves; `None` if none can be."""
    inner_labels, inner_groups = labels[rest], renumbered(groups[rest])
    for chosen in cuts(inner_labels, inner_groups, spec.validation, (spec.seed, _DEAL_VALIDATION)):
        if _holds_all(inner_labels[chosen], classes) and _holds_all(inner_labels[~chosen], classes):
            return rest[chosen]
    return None


def _check_classes(labels: Labels, groups: Groups, classes: Sequence[str], *, whole_groups: bool) -> None:
    present = _groups_per_class(labels, groups, len(classes))
    images = np.bincount(labels, minlength=len(classes))
    for name, number, count in zip(classes, present.tolist(), images.tolist(), strict=True):
        units = number if whole_groups else count
        if units < len(_PARTS):
            held = f" in {number} {_groups_word(number)}" if whole_groups else ""
            never = " of 3 groups, since a group is never cut" if whole_groups else ""
            raise SplitError(
                f"Class {name!r} has {count} {'image' if count == 1 else 'images'}{held}. The train, the validation "
                f"and the test part need one each, so at least 3 images{never}. "
                f"Add images of that class, or leave it out with `classes`.{_one_class(name, classes)}"
            )


def _impossible(labels: Labels, groups: Groups, classes: Sequence[str], where: str = "") -> SplitError:
    present = _groups_per_class(labels, groups, len(classes))
    index = int(present.argmin())
    return SplitError(
        f"The images cannot be split with every class in every part: {where}class {classes[index]!r} has only "
        f"{present[index]} {_groups_word(int(present[index]))}, and a group is never cut. "
        f"Add images of that class, or leave it out with `classes`.{_one_class(classes[index], classes)}"
    )


def _one_class(name: str, classes: Sequence[str]) -> str:
    """What may be the cause: a class under two names."""
    others = [repr(other) for some in near_equal(classes) if name in some for other in some if other != name]
    if not others:
        return ""
    return f" Or is it {' and '.join(others)}? These names differ in case or signs only: give both one name."


def _groups_word(number: int) -> str:
    return "group (patient, or copies of an image)" if number == 1 else "groups (patients, or copies of an image)"


def _groups_per_class(labels: Labels, groups: Groups, count: int) -> _Rows:
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    return np.bincount(pairs[0], minlength=count)


def _holds_all(labels: Labels, classes: Sequence[str]) -> bool:
    return len(np.unique(labels)) == len(classes)

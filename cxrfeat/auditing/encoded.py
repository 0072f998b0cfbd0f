"""What else the features know: whether sex, age, view and source can be read from them among images of one class.

A head that is given such features may tell the class by who is in the picture, or where it was taken, wherever that
goes with the class. That it can does not show that it does; what cannot be read cannot be used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.control import WARN_AUROC
from cxrfeat.auditing.source import LOOSE, cramers_v
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.decision import standardized
from cxrfeat.head.regularization_path import ridge_left_out
from cxrfeat.head.training_set import scaling
from cxrfeat.metric.encoded import encoded_scores
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.run.document import Encoded
from cxrfeat.system.process import small_products
from cxrfeat.types import Features, Finding, Groups, Labels, Status

MOST = 3000
"""Images that are looked at, about; of each class an equal share, and at least `_LEAST` of it. So many give the AUROC
to about 0.01, and cost a second of one core."""
_LEAST = 200

Values = NDArray[np.generic]
"""`(images,)`: numbers, NaN where unknown, or texts, empty where unknown."""


def read_encoded(
    features: Features,
    labels: Labels,
    groups: Groups,
    columns: Mapping[str, Values],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> tuple[Encoded, ...]:
    """How well each column can be read from the features among images of one class.

    In each class a ridge regression of the column on the features, its penalty what one standardised feature weighs, is
    judged on the patients that were left out of it. Of a number, the half above the median of the class is told from
    the half below. Intervals are over the patients judged; what nothing was planted in reached `WARN_AUROC` with the
    lower end of its interval in 1 of 750 sets of 40 to 300 images.

    Args:
        features: `(images, dim)` float32 of the plain views.
        labels: `(images,)` class indices.
        groups: `(images,)` group indices; each is left out as a whole.
        columns: What to read.
        classes: Class names.
        seed: Seed of the choice of images where there are many, and of the intervals.

    Returns:
        Of each column that is not the same wherever it is known; nothing where a feature is not finite.

    Source: Gichoya et al. 2022, "AI recognition of patient race in medical imaging", for probes of what patients are;
    Glocker et al. 2023, "Algorithmic encoding of protected characteristics in chest X-ray disease detection models",
    for what can be read from the features of a frozen network, and that it need not be used; Zech et al. 2018 for
    hospitals and views.
    """
    told = [one for one in (_Column.of(name, values, groups) for name, values in columns.items()) if one is not None]
    chosen = _some(labels, groups, len(classes), seed)
    if not told or not np.isfinite(features[chosen]).all():
        return ()
    scores = [np.zeros((len(labels), one.targets.shape[1])) for one in told]
    strata = [np.full(len(labels), -1, np.int64) for _ in told]
    with small_products():
        for index in range(len(classes)):
            rows = chosen[labels[chosen] == index]
            together: dict[bytes, list[int]] = defaultdict(list)  # one decomposition serves columns of the same images
            for place, one in enumerate(told):
                together[one.known[rows].tobytes()].append(place)
            for places in together.values():
                known = rows[told[places[0]].known[rows]]
                if len(np.unique(groups[known])) < 2:
                    continue
                targets = np.hstack([told[place].targets[known] for place in places])
                X = standardized(features[known], scaling(features[known][:, None]))
                found = ridge_left_out(X, targets, groups[known], 1 / len(known))
                ends = np.cumsum([told[place].targets.shape[1] for place in places])
                for place, of_column in zip(places, np.split(found, ends[:-1], axis=1), strict=True):
                    scores[place][known] = of_column
                    strata[place][known] = index
    return tuple(
        _told(column, of_column, looked_at, labels, groups, len(classes), seed)
        for column, of_column, looked_at in zip(told, scores, strata, strict=True)
    )


def columns_of_file(file: FeatureFile) -> dict[str, Values]:
    """What a feature file says of its images besides the class, for `read_encoded`."""
    texts = {name: np.array([one or "" for one in file.texts(name)]) for name in ("sex", "view_position", "source")}
    return {"age": file.content.columns["age"].astype(np.float64), **texts}


def check_encoded(encoded: Sequence[Encoded]) -> list[Finding]:
    """Whether what can be read goes with the class, so that a head can tell the class by it.

    Returns:
        For each column that could be tested a finding; it warns where the lower end of the AUROC is at least
        `WARN_AUROC` and the classes differ in the column.
    """
    return [_finding(one) for one in encoded if one.auroc_ci is not None]


def _finding(one: Encoded) -> Finding:
    assert one.auroc_ci is not None, "only what could be tested is shown"
    low, high = one.auroc_ci
    readable, differs = low >= WARN_AUROC, one.cramers_v >= LOOSE
    figure = f"AUROC {one.auroc:.3f} [{low:.3f}, {high:.3f}] among images of one class"
    what = one.name if one.cut is None else f"upper half of {one.name} from the lower"
    if not readable:
        said = f"The features are not shown to predict the {what}: {figure}."
    elif differs:
        said = (
            f"The features predict the {what}: {figure}, and the classes differ in it (Cramer's V "
            f"{one.cramers_v:.2f}), "
            "so a head can name the class by it."
        )
    else:
        said = (
            f"The features predict the {what}: {figure}; the classes hardly differ in it, so it is of no use to a head."
        )
    by = one.name if one.cut is None else f"{one.name}:{one.cut:g}"
    return Finding(
        check=f"encoded {one.name}",
        status=Status.WARN if readable and differs else Status.PASS,
        value=one.auroc,
        why=said,
        do=f"See what is left when the two no longer go together: cxrfeat fit-head `balance_by={by}`; and whether all "
        f"fare alike: cxrfeat compare RUN `by={by}`."
        if readable and differs
        else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Column:
    """A column that is to be read."""

    name: str
    known: NDArray[np.bool_]
    numbers: NDArray[np.float64] | None
    """Of a column of numbers."""
    kind: NDArray[np.int64]
    """`(images,)` which of `values` each is; of numbers, whether it is above the median of all."""
    values: tuple[str, ...]
    """By name; none of numbers."""
    targets: NDArray[np.float64]
    """`(images, k)`, what is regressed; means nothing where the column is unknown."""

    @classmethod
    def of(cls, name: str, values: Values, groups: Groups) -> _Column | None:
        """The column; `None` where it is the same wherever it is known."""
        if np.issubdtype(values.dtype, np.number):
            numbers = values.astype(np.float64)
            known = ~np.isnan(numbers)
            if len(np.unique(numbers[known])) < 2:
                return None
            kind = (numbers > np.median(numbers[known])).astype(np.int64)
            scaled = np.where(known, (numbers - numbers[known].mean()) / numbers[known].std(), 0.0)
            return cls(name=name, known=known, numbers=numbers, kind=kind, values=(), targets=scaled[:, None])
        known = values != ""
        there = np.unique(values[known]).tolist()
        often = [one for one in there if len(np.unique(groups[values == one])) >= LEAST_GROUPS] or there
        if len(there) < 2:
            return None
        # What is rare is none of the kinds, and no kind has more than this many patients fewer than there are.
        place = {one: index for index, one in enumerate(often)}
        kind = np.array([place.get(one, len(often)) for one in values.tolist()], np.int64)
        shown = [1] if len(there) == len(often) == 2 else list(range(len(often)))
        targets = np.where(kind[:, None] == shown, 1.0, -1.0)
        return cls(name=name, known=known, numbers=None, kind=kind, values=tuple(often), targets=targets)


def _told(
    column: _Column,
    scores: NDArray[np.float64],
    strata: NDArray[np.int64],
    labels: Labels,
    groups: Groups,
    classes: int,
    seed: int,
) -> Encoded:
    kind = column.kind
    if column.numbers is not None:
        kind = np.zeros(len(labels), np.int64)
        for index in range(classes):
            rows = strata == index
            if rows.any():
                kind[rows] = column.numbers[rows] > np.median(column.numbers[rows])
    found = encoded_scores(kind, scores, groups, strata, seed=seed)
    counts = np.zeros((classes, int(column.kind.max()) + 1), np.int64)
    np.add.at(counts, (labels[column.known], column.kind[column.known]), 1)
    one_column = scores.shape[1] == 1
    names = column.values if not found["judged"] or one_column else [column.values[one] for one in found["judged"]]
    return Encoded(
        name=column.name,
        auroc=found["auroc"],
        auroc_ci=found["auroc_ci"] and (found["auroc_ci"][0], found["auroc_ci"][1]),
        values=tuple(names),
        cut=None if column.numbers is None else float(np.median(column.numbers[column.known])),
        images=found["images"],
        groups=found["groups"],
        cramers_v=cramers_v(counts),
    )


def _some(labels: Labels, groups: Groups, classes: int, seed: int) -> NDArray[np.intp]:
    """Rows to look at, whole groups by chance: all, where there are no more than `MOST`."""
    if len(labels) <= MOST:
        return np.arange(len(labels))
    each, rng = max(_LEAST, MOST // classes), np.random.default_rng(seed)
    turn = rng.permutation(int(groups.max()) + 1)[groups]
    taken = []
    for index in range(classes):
        rows = np.flatnonzero(labels == index)
        rows = rows[np.argsort(turn[rows], kind="stable")]
        if len(rows) > each:
            last = turn[rows[each - 1]]
            rows = rows[turn[rows] <= last]
        taken.append(rows)
    return np.sort(np.concatenate(taken))

"""Which of several runs did best on validation images, and which did as well: never by what tests them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrfeat.metric.compare import paired_difference
from cxrfeat.run.folder import Run
from cxrfeat.types import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The run that did best on images that neither trained nor tested it."""

    run: Run
    accuracy: float
    """On the validation images; of folds, on those of all folds together."""
    images: int
    """How many these are."""
    tied: tuple[Run, ...] | None
    """Runs that the validation images do not tell from it; `None` where nothing can be said of that."""
    among: int
    """How many runs were compared."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        test = self.run.info["test"]
        return {
            "run": self.run.name,
            "head": self.run.info["head"],
            "by": "validation accuracy",
            "validation": {"accuracy": self.accuracy, "images": self.images},
            "test": {key: test[key] for key in ("accuracy", "accuracy_ci")},
            "tied": None if self.tied is None else [{"run": one.name, "head": one.info["head"]} for one in self.tied],
        }


def best_of(runs: Sequence[Run], seed: int = 0) -> Best | None:
    """The run of highest accuracy on its validation images, of equal ones that of lower log loss.

    Of one split the validation images are those of the split, and a run is tied with the best where the 95 % interval
    of their paired difference there, over groups, holds zero. Of folds they are those that each fold kept from
    training; tied is then what a t-test over the folds does not tell apart at 0.05, with the variance corrected for
    folds that share most of their training images.

    Args:
        runs: Of one call of `fit`, so of the same images and the same split.
        seed: Of the interval.

    Returns:
        `None` where no run was validated.

    Source: Nadeau & Bengio 2003, section 3, for the corrected variance.
    """
    held = [_validated(run) for run in runs]
    able = [index for index, one in enumerate(held) if one is not None]
    if not able:
        return None
    told = {index: one for index, one in enumerate(held) if one is not None}
    order = sorted(able, key=lambda index: (-told[index]["accuracy"], told[index]["log_loss"]))
    first = order[0]
    ties = {index: _tied(runs[first], runs[index], seed) for index in order[1:]}
    return Best(
        run=runs[first],
        accuracy=told[first]["accuracy"],
        images=told[first]["images"],
        tied=None if any(tie is None for tie in ties.values()) else tuple(runs[i] for i, tie in ties.items() if tie),
        among=len(able),
    )


def _validated(run: Run) -> dict[str, Any] | None:
    """Accuracy, log loss and number of validation images."""
    validation = run.info.get("validation")
    if validation is not None:
        return {key: validation[key] for key in ("accuracy", "log_loss", "images")}
    parts = _parts(run)
    if not parts:
        return None
    sizes = np.array([part["images"] for part in parts])
    mean = {key: float(np.average([part[key] for part in parts], weights=sizes)) for key in ("accuracy", "log_loss")}
    return {**mean, "images": int(sizes.sum())}


def _parts(run: Run) -> list[Mapping[str, Any]]:
    found = [fold.get("validation") for fold in run.info.get("folds") or ()]
    return [one for one in found if one is not None]


def _tied(best: Run, other: Run, seed: int) -> bool | None:
    if best.info.get("validation") is None:
        return _tied_over_folds(_parts(best), _parts(other))
    (contents, y, groups, right), (same, _, _, too) = _told(best), _told(other)
    if contents != same:
        return None
    found = paired_difference(y, right, too, groups, seed)
    return None if found["ci"] is None else bool(found["tied"])


def _told(run: Run) -> tuple[list[str], Any, Any, Any]:
    """Contents, labels, groups and, as certain probabilities, what was said of the validation images."""
    table = run.table("predictions.csv")
    rows = [row for row, part in enumerate(table["part"]) if part == Part.VALIDATION]
    classes = run.info["classes"]
    y = np.array([classes.index(table["label"][row]) for row in rows], dtype=np.int64)
    said = np.array([classes.index(table["predicted"][row]) for row in rows], dtype=np.int64)
    groups = np.unique([table["group"][row] for row in rows], return_inverse=True)[1]
    return [table["content_sha256"][row] for row in rows], y, groups, np.eye(len(classes))[said]


def _tied_over_folds(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> bool | None:
    from scipy.stats import t

    if len(ours) != len(theirs) or len(ours) < 2:
        return None
    gains = np.array([one["accuracy"] - other["accuracy"] for one, other in zip(ours, theirs, strict=True)])
    share = np.mean([one["images"] / one["trained"] for one in ours])
    width = t.ppf(0.975, len(gains) - 1) * np.sqrt((1 / len(gains) + share) * gains.var(ddof=1))
    return bool(abs(gains.mean()) <= width)

"""How often intervals hold the truth, counted: made-up runs on grouped images, many times over.

`python -m tests.metric.coverage 2000 8,20 0,7` prints it for 8 and 20 groups a class of the kinds of data 0 and 7.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrfeat.metric.compare import paired_auroc_difference, paired_difference
from cxrfeat.metric.delong import auroc_difference, auroc_interval
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.operating import operating_points, predictive_values
from cxrfeat.metric.roc import GRID, roc_band
from cxrfeat.metric.score import scores
from cxrfeat.metric.shortcut import control_scores
from cxrfeat.metric.source import within_source
from cxrfeat.types import Groups, Labels, Probabilities

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")
RESAMPLES = 80
"""With few groups draws tell the variance alone, and so many tell it well enough."""
AT = 10
"""Place on the ROC curve: a tenth of `GRID` is a fifth of false positives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What data are like."""

    skill: float
    """By how much the logit of the true class is raised, in standard deviations of its noise."""
    alike: float
    """Share of the noise's variance that all images of a group have in common."""
    most: int
    """Images of a group: 1 to so many, each as likely."""


KINDS = [
    Kind(skill=skill, alike=alike, most=most)
    for skill in (0.5, 1.5, 3.0)
    for alike, most in ((0.0, 1), (0.0, 7), (0.5, 7), (1.0, 7))
]

Runs = tuple[Labels, Probabilities, Probabilities, Groups]


def two_runs(rng: np.random.Generator, kind: Kind, groups: int) -> Runs:
    """A run and a worse one that errs much alike, on so many groups of each class."""
    group = np.arange(3 * groups).repeat(rng.integers(1, kind.most + 1, 3 * groups))
    y = group % 3

    def noise() -> np.ndarray:
        common, own = rng.normal(size=(3 * groups, 3))[group], rng.normal(size=(len(group), 3))
        return np.asarray(np.sqrt(kind.alike) * common + np.sqrt(1 - kind.alike) * own)

    ours = noise()
    theirs = 0.8 * ours + 0.6 * noise()
    told = []
    for skill, errs in ((kind.skill, ours), (0.8 * kind.skill, theirs)):
        raised = np.exp(1.5 * (skill * np.eye(3)[y] + errs))
        told.append(raised / raised.sum(1, keepdims=True))
    return y, told[0], told[1], group


def told(runs: Runs, resamples: int, *, points: bool) -> dict[str, tuple[float | None, Any]]:
    """Every score that has an interval, with it."""
    y, a, b, group = runs
    found: dict[str, tuple[float | None, Any]] = {}
    observed, sure = scores(y, a, CLASSES), bootstrap(y, a, group, CLASSES, resamples=resamples)
    for name, interval in sure.items():
        value = observed[name.removesuffix("_ci")]
        if isinstance(interval, dict):
            value, interval = value[CLASSES[0]], interval[CLASSES[0]]
        found[name.removesuffix("_ci")] = value, interval
    options: dict[str, Any] = {"resamples": resamples}
    control = control_scores(y, b, group, CLASSES, a, **options)
    found["shortcut ratio"] = control["ratio"], control["ratio_ci"]
    within = within_source(y, a, group, group // 3 % 2, CLASSES, **options)
    found["within source: accuracy"] = within["accuracy"], within["accuracy_ci"]
    found["within source: pair"] = within["pairs"][0]["auroc"], within["pairs"][0]["auroc_ci"]
    point = operating_points(y, a, group, CLASSES, thresholds={"COVID": 0.4}, **options)["COVID"]["at_threshold"]
    worth = predictive_values(y, a, group, CLASSES, {"COVID": 0.1}, **options)["COVID"]
    for name, of in (("sensitivity", point), ("specificity", point), ("ppv", worth), ("npv", worth)):
        found[f"at a threshold: {name}" if of is point else name] = of[name], of[f"{name}_ci"]
    first = auroc_interval(y == 0, a[:, 0], group)
    found["DeLong: AUROC"] = first["auroc"], first["ci"]
    for name, pair in (
        ("difference: accuracy", paired_difference(y, a, b, group, resamples=resamples)),
        ("difference: AUROC", paired_auroc_difference(y, a, b, group, resamples=resamples)),
        ("DeLong: difference", auroc_difference(y == 0, a[:, 0], b[:, 0], group)),
    ):
        found[name] = pair["difference"], pair["ci"]
    band = roc_band(y == 0, a[:, 0], group, resamples=2 if points else resamples)
    assert band is not None
    value = float(np.interp(AT / (GRID - 1), band["false_positive"], band["sensitivity"]))
    found["ROC band"] = value, None if band["low"][AT] is None else [band["low"][AT], band["high"][AT]]
    return found


def coverage(
    kind: Kind, groups: int, repeats: int, *, seed: int = 0, large: int = 20_000
) -> dict[str, tuple[float, float, float]]:
    """For each score how often its interval held the truth, of how many of the repeats, and its mean width.

    The truth is that of `large` groups of each class. An interval without width, or that leaves out the value
    it is of, is refused.
    """
    truth = {
        name: value
        for name, (value, _) in told(two_runs(np.random.default_rng(9), kind, large), 2, points=True).items()
    }
    held: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    names = list(truth)
    rng = np.random.default_rng([seed, groups, kind.most])
    for _ in range(repeats):
        for name, (value, interval) in told(two_runs(rng, kind, groups), RESAMPLES, points=False).items():
            if interval is not None:
                low, high = interval
                assert low < high, (name, interval)
                assert value is not None, name
                assert low <= value + 1e-12, (name, value, interval)
                assert value - 1e-12 <= high, (name, value, interval)
                held[name].append((bool(low <= truth[name] <= high), high - low))
    found = {}
    for name in names:
        hits, widths = zip(*held[name], strict=True) if held[name] else ((), ())
        given = len(hits)
        found[name] = (sum(hits) / given, given / repeats, sum(widths) / given) if given else (np.nan, 0.0, np.nan)
    return found


def main(repeats: int, counts: list[int], kinds: list[Kind]) -> None:
    for kind in kinds:
        for groups in counts:
            print(f"\n{kind}, {groups} groups a class")
            for name, (held, given, width) in coverage(kind, groups, repeats).items():
                mark = "  <-- " if given and held < 0.93 else ""
                print(f"  {name:28} held {held:.3f} given {given:.3f} width {width:.3f}{mark}", flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        [int(count) for count in sys.argv[2].split(",")],
        [KINDS[int(i)] for i in sys.argv[3].split(",")],
    )

"""Scores of several findings on images of the same patients, with intervals from the same draws of them.

So the mean over findings has an interval too, in which a patient counts once, whatever was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.compare import difference_of
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import Weights, numbered, weight_blocks
from cxrfeat.metric.small import Bearing, score_interval
from cxrfeat.system.process import small_products, threads
from cxrfeat.types import Groups

RATES = ("prevalence", "auroc", "auprc", "sensitivity", "specificity")
"""What is reported of each finding; the last two are those of calling it from its threshold on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What a model says of one finding."""

    name: str
    present: NDArray[np.bool_]
    """`(images,)` whether it is there; of no matter where that is not known."""
    known: NDArray[np.bool_]
    """`(images,)` whether that is known."""
    score: NDArray[np.float64]
    """`(images,)` of the model: the higher, the likelier."""
    threshold: float
    """From which on the finding is called, chosen on other images."""


def threshold_at(present: NDArray[np.bool_], score: NDArray[np.float64], specificity: float) -> float:
    """The lowest score from which on a finding can be called so that so many of the images without it are left alone.

    Args:
        present: `(n,)` of images other than those that are then judged.
        score: `(n,)`.
        specificity: At least this share; above 0 and at most 1.

    Example:
        >>> threshold_at(np.array([False, False, True]), np.array([0.1, 0.4, 0.3]), 0.5)
        0.3
    """
    values = np.unique(score)
    values = np.append(values, np.nextafter(values[-1], np.inf))
    without = np.sort(score[~present])
    below = np.searchsorted(without, values, "left")
    return float(values[np.argmax(below >= specificity * len(without))])


def score_several(
    findings: Sequence[Told], groups: Groups, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Score each finding, and their mean.

    Args:
        findings: Each with an image that has it, and one that does not.
        groups: `(images,)`; images of one group are drawn together.
        resamples: How often to draw.
        level: How often an interval shall hold the truth.
        seed: Of the draws.

    Returns:
        Of each finding `RATES`, each with `_ci`, `threshold`, `images` and `groups`; and of the mean over findings the
        same rates. An interval is `None` where fewer than 8 groups bear it, of images with the finding or without.

    Source: Field & Welsh 2007 for drawing whole groups; Hanley & McNeil 1982; `metric.small` for few of them.

    Example:
        >>> present = np.arange(40) % 2 == 0
        >>> one = Told(name="Mass", present=present, known=np.ones(40, bool), score=present * 1.0, threshold=0.5)
        >>> scored, mean = score_several([one], np.arange(40), resamples=100)
        >>> scored[0]["auroc"], scored[0]["sensitivity"], mean["prevalence"]
        (1.0, 1.0, 0.5)
    """
    group, count = numbered(groups)
    tallies = [_Tally(one, group, count) for one in findings]
    observed = np.stack([one.rates(np.ones((1, count))) for one in tallies])  # (findings, rates, 1)
    drawn = np.empty((len(findings), len(RATES), resamples))
    shares = min(threads(), len(findings))

    def draw(share: int) -> None:
        """A share of the findings; the draws cost so little that each share makes its own, which are the same."""
        blocks = weight_blocks(count, len(groups), resamples, seed)
        told = [np.stack([one.rates(weights) for one in tallies[share::shares]]) for weights in blocks]
        drawn[share::shares] = np.concatenate(told, axis=2)

    with small_products(), ThreadPoolExecutor(shares, thread_name_prefix="share") as pool:
        list(pool.map(draw, range(shares)))  # NumPy lets Python go while it computes
    found = []
    for one, tally, value, draws in zip(findings, tallies, observed[:, :, 0], drawn, strict=True):
        told = _with_intervals(value, draws, tally.bearings, level)
        images = int(np.count_nonzero(one.known))
        found.append(told | {"threshold": one.threshold, "images": images, "groups": tally.groups})
    weakest = {rate: Bearing.weakest([tally.bearings[rate] for tally in tallies]) for rate in RATES}
    return found, _with_intervals(observed[:, :, 0].mean(axis=0), drawn.mean(axis=0), weakest, level)


def several_differences(
    a: Sequence[Told], b: Sequence[Told], groups: Groups, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """By how much the AUROC of each finding, and their mean, is larger for model A than for model B.

    Args:
        a: What A says; each finding has an image with it and one without.
        b: What B says of the same findings of the same images.
        groups: `(images,)`; images of one group are drawn together.
        resamples: How often to draw.
        level: Of the intervals.
        seed: Of the draws.

    Returns:
        Of each finding, and of the mean over findings, `difference`, `ci`, `p` and `tied`, as
        `metric.compare.paired_auroc_difference` gives them.

    Example:
        >>> present = np.arange(40) % 2 == 0
        >>> known, right = np.ones(40, bool), present * 1.0
        >>> told = [Told(name="A", present=present, known=known, score=one, threshold=0) for one in (right, -right)]
        >>> a, b = told[:1], told[1:]
        >>> of_findings, mean = several_differences(a, b, np.arange(40), resamples=100)
        >>> of_findings[0]["difference"], mean["difference"], mean["tied"]
        (1.0, 1.0, False)
    """
    group, count = numbered(groups)
    pairs = [tuple(_ranked(one, group) for one in pair) for pair in zip(a, b, strict=True)]
    bearings = [_bearing(one, group, count) for one in a]

    def of(weights: Weights) -> NDArray[np.float64]:
        """`(findings, 2, resamples)`."""
        return np.array([[one.auroc(weights) for one in pair] for pair in pairs])

    observed = of(np.ones((1, count)))[:, :, 0]
    blocks = weight_blocks(count, len(groups), resamples, seed)
    with small_products():
        drawn = np.concatenate([of(weights) for weights in blocks], axis=2)

    def told(value: NDArray[np.float64], draws: NDArray[np.float64], bearing: Bearing) -> dict[str, Any]:
        if bearing.groups < LEAST_GROUPS:
            return {"difference": float(value[0] - value[1]), "ci": None, "p": None, "tied": True}
        return difference_of(float(value[0]), float(value[1]), draws[0], draws[1], bearing, level)

    each = [told(*one) for one in zip(observed, drawn, bearings, strict=True)]
    return each, told(observed.mean(axis=0), drawn.mean(axis=0), Bearing.weakest(bearings))


def _ranked(told: Told, group: Groups) -> Ranked:
    return Ranked(told.present[told.known], told.score[told.known], group[told.known])


def _bearing(told: Told, group: Groups, groups: int) -> Bearing:
    """What an AUROC rests on."""
    with_it, without = (np.bincount(group[told.known & one], minlength=groups) for one in (told.present, ~told.present))
    return Bearing.against(Bearing.of(with_it), Bearing.of(without))


def _with_intervals(
    value: NDArray[np.float64], drawn: NDArray[np.float64], bearings: Mapping[str, Bearing], level: float
) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for place, rate in enumerate(RATES):
        told[rate] = float(value[place])
        told[f"{rate}_ci"] = score_interval(drawn[place], told[rate], bearings[rate], level)
    return told


class _Tally:
    """What is counted of every group once for a finding, so that a resample costs little."""

    def __init__(self, told: Told, group: Groups, groups: int) -> None:
        known = told.known
        present, score, own = told.present[known], told.score[known], group[known]
        self._ranked = Ranked(present, score, own)
        called = score >= told.threshold
        cells = (present, present & called, ~present, ~present & ~called)
        self._counts = np.column_stack([np.bincount(own[cell], minlength=groups) for cell in cells]).astype(np.float64)
        ours, theirs = Bearing.of(self._counts[:, 0]), Bearing.of(self._counts[:, 2])
        self.groups = len(np.unique(own))
        self.bearings = {
            "prevalence": Bearing.of(self._counts[:, 0] + self._counts[:, 2]),
            "auroc": Bearing.against(ours, theirs),
            "auprc": Bearing.found_among(ours, theirs),
            "sensitivity": ours,
            "specificity": theirs,
        }

    def rates(self, weights: Weights) -> NDArray[np.float64]:
        """`(rates, resamples)`, NaN where one does not exist."""
        auroc, auprc = self._ranked.auroc_and_auprc(weights)
        with_it, found, without, left = (weights @ self._counts).T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([with_it / (with_it + without), auroc, auprc, found / with_it, left / without])


def too_few(present: NDArray[np.bool_], groups: Groups, least: int = LEAST_GROUPS) -> str:
    """Why a finding cannot be judged on some images; empty if it can.

    Args:
        present: `(n,)` whether it is there, of images of which that is known.
        groups: `(n,)`.
        least: Groups that are needed with it, and without.

    Example:
        >>> too_few(np.array([True, False, False]), np.arange(3), least=2)
        'it is present in 1 patient or group, and 2 are needed'
    """
    for word, those in (("present", present), ("absent", ~present)):
        there = len(np.unique(groups[those]))
        if there < least:
            of = "patient or group" if there == 1 else "patients or groups"
            return f"it is {word} in {there} {of}, and {least} are needed"
    return ""

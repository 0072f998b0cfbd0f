"""Whether heat lies where it should: each question a number, a verdict, and what to do.

A class counts where enough patients show it; patients, not images, are what the intervals are over. Bounds hold at 95 %
for all classes together (Bonferroni). What is *even* is what heat spread evenly over the picture would have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.types import Finding, Groups, Labels, Status

LEAST_SEEN = 5
"""Patients below which a mean over images, which has no interval here, is not shown."""

BORDER = 0.12
"""Share of height and width at each side that counts as border: letters lie in it, and little of the lungs."""

CORNER = 0.2
"""Share of height and width that counts as corner: a side marker lies within, and one cell of a map is 1/7."""

SAME_VIEW, OTHER_VIEW = 0.7, 0.3
"""Correlation of the evidence in two views of one image: above the first, half of its variance is the image's own
(0.7 squared); below the second, less than a tenth is."""

UNLIKE, ALIKE = 0.5, 0.7
"""Rank correlation with the evidence of a model that knows nothing: above the second, half of what the map shows was
there before anything was learnt; below the first, less than a quarter."""

CORNERS = ("upper left", "upper right", "lower left", "lower right")

Shares = NDArray[np.float64]
Region = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What is known of the heat of many images, one row each; `nan` where an image has no heat."""

    classes: tuple[str, ...]
    explained: Labels
    """`(n,)` the class whose evidence it is."""
    groups: Groups
    """`(n,)` patients, or copies."""
    lungs: Shares
    """`(n,)` share of the heat inside the lungs."""
    lungs_area: Shares
    """`(n,)` share of the picture that they are."""
    border: Shares
    """`(n,)` share of the heat in the border."""
    border_area: Shares
    """`(n,)` share of the picture that it is."""
    corners: Shares
    """`(n, 4)` share of the heat in each of `CORNERS`."""
    corner_area: Shares
    """`(n, 4)` share of the picture that each is."""


def border_of(shape: tuple[int, int]) -> Region:
    """`(h, w)`, true in the outer `BORDER` at each side."""
    down, across = (np.abs((np.arange(length) + 0.5) / length - 0.5) > 0.5 - BORDER for length in shape)
    region: Region = down[:, None] | across
    return region


def corners_of(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """`(4, h, w)`, true in each of `CORNERS`."""
    low, high = zip(*(_ends(length) for length in shape), strict=True)
    return np.stack([down[:, None] & across for down in (low[0], high[0]) for across in (low[1], high[1])])


def _ends(length: int) -> tuple[Region, Region]:
    place = (np.arange(length) + 0.5) / length
    return place < CORNER, place > 1 - CORNER


def share(heat: NDArray[np.floating], region: Region) -> float:
    """Part of the positive heat that lies in a region; `nan` where there is none."""
    total = float(heat.sum())
    return float(heat[region].sum()) / total if total > 0 else math.nan


def check_lungs(seen: Seen, *, masked: int) -> Finding:
    """Whether more of the heat lies in the lungs than their share of the picture.

    Passes where it surely does for every class, fails where for some class surely less does.

    Args:
        seen: The heat.
        masked: Images whose lungs are from a mask of their own; a template tells those of the others.
    """
    total = len(seen.lungs)
    by = f"masks for {masked} of {total}, a template for the rest"
    if masked in (0, total):
        by = "masks" if masked else "a template"
    return _against_even(
        "heat in lungs",
        seen,
        seen.lungs,
        seen.lungs_area,
        wanted=1,
        what=f"of the heat for {{name}} lies in the lungs (by {by}), which are {{area:.0%}} of the picture",
        do="Look at the overlays, and see whether lung masks or a cut border help: cxrfeat audit `mitigate=True`.",
    )


def check_border(seen: Seen) -> Finding:
    """Whether less of the heat lies in the border than its share of the picture.

    Passes where it surely does for every class, fails where for some class surely more does.
    """
    return _against_even(
        "heat in border",
        seen,
        seen.border,
        seen.border_area,
        wanted=-1,
        what="of the heat for {name} lies in the border, which is {area:.0%} of the picture",
        do="Look for letters and edges under the heat; compare with `border_crop=0.12` or `letters=True`.",
    )


def check_corners(seen: Seen) -> Finding:
    """Whether a class has hot corners: no disease lives there, but side markers do, in one corner or another.

    Warns where the corners have surely more heat than an even spread; fails where they are surely, for their area,
    hotter than the lungs too.
    """
    check = "hot corner"
    judged = _judged(seen)
    of_corners, area = seen.corners.sum(axis=1), seen.corner_area.sum(axis=1)
    density, lungs = of_corners / area, seen.lungs / seen.lungs_area
    found: list[tuple[int, float, str, str]] = []
    for name, rows in judged:
        groups = seen.groups[rows]
        above = _lower(density[rows] - 1, groups, len(judged)) > 0
        hotter = _lower(density[rows] - lungs[rows], groups, len(judged)) > 0
        where = CORNERS[int(seen.corners[rows].mean(axis=0).argmax())]
        found.append(((2 if hotter else 1) if above else 0, float(of_corners[rows].mean()), name, where))
    if not found:
        return _too_few(check)
    level, value, name, where = max(found)
    why = f"{value:.0%} of the heat for {name} lies in the corners, most in the {where} one; they are "
    why += f"{float(np.mean(area)):.0%} of the picture"
    said = (
        ": not clearly more than an even spread.",
        ": more than an even spread. No disease shows there, but side markers and letters do.",
        ": for its area more than in the lungs. No disease shows there, but side markers and letters do.",
    )[level]
    return Finding(
        check=check,
        status=tuple(Status)[level],
        value=value,
        why=f"{why}{said}{_unjudged(seen)}",
        do="Look at the corners of these images; compare with `letters=True` or `border_crop=0.12`." if level else "",
    )


def check_views(correlations: Shares, groups: Groups) -> Finding:
    """Whether the evidence stays where it is when the image is mirrored, magnified and brightened.

    Args:
        correlations: `(n,)` mean over the drawn views of an image of their correlation with the plain one.
        groups: `(n,)` patients, or copies.
    """
    check = "agreement of views"
    finite = np.isfinite(correlations)
    known, patients = correlations[finite], len(np.unique(groups[finite]))
    if patients < LEAST_SEEN:
        return _too_few(check, f"Views can be compared in images of {patients} patients, fewer than {LEAST_SEEN}")
    value = float(known.mean())
    status = Status.PASS if value >= SAME_VIEW else Status.WARN if value >= OTHER_VIEW else Status.FAIL
    said = {
        Status.PASS: "the heat belongs to the image.",
        Status.WARN: f"below {SAME_VIEW}, less than half of a map is the image's own.",
        Status.FAIL: f"below {OTHER_VIEW}, a map says next to nothing of its image.",
    }
    return Finding(
        check=check,
        status=status,
        value=value,
        why=f"Evidence in mirrored, magnified and brightened views of one image correlates by {value:.2f} with the "
        f"plain one (mean of {len(known)} images): {said[status]}",
        do="" if status is Status.PASS else "Read single maps with care; trust the mean maps of the classes more.",
    )


def check_randomised(head: float, network: float | None, patients: int) -> Finding:
    """Whether the maps change when what was learnt is taken away.

    Args:
        head: Mean absolute rank correlation with the maps of a head that reads each feature as another.
        network: The same with a network whose weights are shuffled; `None` if it was not tried.
        patients: Whose images these are.

    Source: Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 3 (model parameter randomization test).
    """
    check = "randomised weights"
    if patients < LEAST_SEEN:
        return _too_few(check, f"Maps were compared in images of {patients} patients, fewer than {LEAST_SEEN}")
    value = head if network is None else max(head, network)
    status = Status.PASS if value < UNLIKE else Status.WARN if value < ALIKE else Status.FAIL
    both = f"{head:.2f} with a shuffled head" + ("" if network is None else f", {network:.2f} with a shuffled network")
    said = (
        "they show what was learnt." if status is Status.PASS else "they show much that nothing had to be learnt for."
    )
    return Finding(
        check=check,
        status=status,
        value=value,
        why=f"The maps correlate, in rank and whatever the sign, by {both}: {said}",
        do="" if status is Status.PASS else "Do not read these maps as reasons; try `method=occlusion`.",
    )


def _against_even(check: str, seen: Seen, shares: Shares, areas: Shares, *, wanted: int, what: str, do: str) -> Finding:
    judged = _judged(seen)
    found = []
    for name, rows in judged:
        excess = wanted * (shares[rows] - areas[rows])
        groups = seen.groups[rows]
        sure, against = (_lower(sign * excess, groups, len(judged)) > 0 for sign in (1, -1))
        level = 0 if sure else 2 if against else 1
        value, area = float(np.nanmean(shares[rows])), float(np.nanmean(areas[rows]))
        found.append((level, -float(np.nanmean(excess)), value, area, name))
    if not found:
        return _too_few(check)
    level, _, value, area, name = max(found)
    said = (
        ": clearly better than an even spread.",
        ": not clearly better than an even spread.",
        ": clearly worse than an even spread.",
    )[level]
    return Finding(
        check=check,
        status=tuple(Status)[level],
        value=value,
        why=f"{value:.0%} {what.format(name=name, area=area)}{said}{_unjudged(seen)}",
        do=do if level else "",
    )


def _judged(seen: Seen) -> list[tuple[str, NDArray[np.intp]]]:
    """The classes that enough patients show, with their images that have any heat."""
    found = []
    for index, name in enumerate(seen.classes):
        rows = np.flatnonzero((seen.explained == index) & np.isfinite(seen.border))
        if len(np.unique(seen.groups[rows])) >= LEAST_GROUPS:
            found.append((name, rows))
    return found


def _unjudged(seen: Seen) -> str:
    """What is to be said of the classes that too few patients show."""
    judged = {name for name, _ in _judged(seen)}
    others = [name for index, name in enumerate(seen.classes) if name not in judged and (seen.explained == index).any()]
    return f" Too few patients to judge {', '.join(others)}." if others else ""


def _lower(values: Shares, groups: Groups, tests: int) -> float:
    """Lower end of the interval of a mean, over patients (Student's), one of this many tests."""
    from scipy.special import stdtrit  # scipy.stats takes a second to load

    _, place = np.unique(groups, return_inverse=True)
    means = np.bincount(place, values) / np.bincount(place)
    quantile = float(stdtrit(len(means) - 1, 1 - 0.05 / 2 / tests))
    return float(means.mean()) - quantile * float(means.std(ddof=1)) / math.sqrt(len(means))


def _too_few(check: str, why: str = f"No class has heat in images of {LEAST_GROUPS} patients") -> Finding:
    return Finding(
        check=check,
        status=Status.WARN,
        why=f"{why}, so this cannot be judged.",
        do="Explain more test images: pass `data` with the whole set.",
    )


def correlation(one: NDArray[np.floating], other: NDArray[np.floating], where: Region) -> float:
    """Pearson's, over a region; `nan` where one of the two is even."""
    a, b = one[where].astype(np.float64), other[where].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    length = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / length if length > 0 else math.nan


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's, over the cells of two maps; 0 where one of the two is even: it shows nothing of the other."""
    ranks = [_ranks(map_) for map_ in (one, other)]
    found = correlation(ranks[0], ranks[1], np.ones(one.shape, bool))
    return 0.0 if math.isnan(found) else found


def _ranks(map_: NDArray[np.floating]) -> NDArray[np.float64]:
    """The place of each cell in the order of all; of equal ones the mean of their places."""
    _, place, counts = np.unique(map_, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place].reshape(map_.shape)
    return ranks

"""Whether the images are what a chest X-ray classifier should be given: the only place that judges single images.

Each check flags images. What is wrong with a few deserves a look and warns; from a twentieth of a class on it moves
that class's sensitivity by up to five points, more than most comparisons of models are about, and fails.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.group import group
from cxrfeat.image.inspect import Inspection
from cxrfeat.image.projection import is_lateral
from cxrfeat.image.row import ImageRow
from cxrfeat.metric.delong import auroc_interval
from cxrfeat.types import Finding, Groups, Status

SERIOUS = 0.05
"""Share of a class from which on what is wrong with images fails; below, it warns."""

TOLD = 0.6
"""Lower end of the AUROC of the presence of letters from which it tells the class: shares of images with letters that
differ by 20 points. A control outside the picture only warns there; letters are inside it, where the network looks."""

SMALL, TOO_SMALL = 128, 64
"""Shorter sides in pixels. Below 128 each lung is some 50 pixels wide, and fine reticulation is gone; below 64 there is
no finding left to see, and the usual input of a network is such an image enlarged threefold."""

_NEGATIVE = -0.3
"""Correlation with the usual thumbnail from which an image is a negative. Of the 1200 images of cxr299 the lowest is
-0.12; of their negatives 98 in 100 are found."""

_TURNED, _GAIN = 0.55, 0.3
"""What a turned image correlates with the usual thumbnail at least, and how much more than as it lies. In cxr299 one
image is so, which does stand on its head; of the same images turned by a quarter or a half, 88 in 100 are."""

_ASPECT = 1.5
"""Width over height, relative to the median: the frontal views of cxr-raw range from 0.76 to 1.39."""

_SAME = 0.98
"""Share of white, or of black pixels in an image that shows nothing; letters and an edge may be in the rest."""

_EVEN = 4.0
"""Standard deviation in grey levels of an image that shows nothing; the least in cxr299 is 14.8."""

_COLOURED = 2.0
"""Mean difference of channels: grey images stored in colour have 0.2 at most in cxr-raw, the one tinted image
has 3.5, and a red arrow on a hundredth of the area 2.5."""

_DARK = 64.5
"""Brightest grey value of an image whose range was read wrongly: 14 bits stored as 16 end at 64, 12 bits at 16."""

_LEVELS = 32
"""Distinct grey values: an X-ray with fewer has steps that the eye sees; the least in cxr299 is 118."""

_LEAST_LEVELS, _LEAST_CONTRAST = 8, 0.1
"""What an image that is only too dark still has; 12 bits cut to the upper 8 of 16 leave 16 levels."""

_Thumbnails = NDArray[np.float64]

_TURNS: tuple[Callable[[_Thumbnails], _Thumbnails], ...] = tuple(
    functools.partial(np.rot90, k=quarters, axes=(1, 2)) for quarters in (1, 2, 3)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Images:
    """The images that could be decoded."""

    rows: Sequence[ImageRow]
    seen: Sequence[Inspection]
    groups: Groups
    upright: NDArray[np.float64]
    """`(images,)` correlation of the thumbnail with the usual one, as it lies."""
    turned: NDArray[np.float64]
    """`(images,)` the same, turned by a quarter or a half, whichever gives the most."""


def check_sanity(rows: Sequence[ImageRow], inspections: Sequence[Inspection | BadImageError]) -> list[Finding]:
    """Check every image of a data set.

    Args:
        rows: The images, as in a manifest.
        inspections: Inspections of the same images in the same order, as `inspect_folder` gives them. Those that could
            not be decoded are left out here: being unreadable is a check of its own.

    Returns:
        One finding each for `inverted`, `blank`, `letters`, `colour`, `tiny`, `orientation` and `depth`, in this order;
        none if not one image could be decoded.

    Raises:
        ValueError: If there is not one inspection for each row.
    """
    if len(rows) != len(inspections):
        raise ValueError(f"One inspection for each of {len(rows)} images; got {len(inspections)}.")
    pairs = [(row, seen) for row, seen in zip(rows, inspections, strict=True) if isinstance(seen, Inspection)]
    if not pairs:
        return []
    kept = [row for row, _ in pairs]
    thumbnails = _unit(np.stack([seen.look.thumbnail for _, seen in pairs]).astype(np.float64))
    usual = _usual(thumbnails)
    images = _Images(
        rows=kept,
        seen=[seen for _, seen in pairs],
        groups=group(kept),
        upright=_likeness(thumbnails, usual),
        turned=np.max([_likeness(turn(thumbnails), usual) for turn in _TURNS], axis=0),
    )
    return [check(images) for check in (_inverted, _blank, _letters, _colour, _tiny, _orientation, _depth)]


def _inverted(images: _Images) -> Finding:
    """Negatives: bone dark, air bright. One negative among positives is a different picture to every network."""
    return _verdict(
        "inverted",
        images,
        (images.upright <= _NEGATIVE) & (-images.upright > images.turned),
        good="No image is a negative: all are bright where the chest is dense",
        bad="negatives, dark where the chest is dense",
        do="Invert these images (255 - grey), or delete them; of DICOM files, see PhotometricInterpretation.",
    )


def _blank(images: _Images) -> Finding:
    """Images that show nothing: all white, all black, or of nearly one grey."""
    return _verdict(
        "blank",
        images,
        np.array([_is_blank(seen) for seen in images.seen]),
        good="No image is white, black or a single grey level",
        bad="white, black or almost a single grey level",
        do="Delete these images, or export them again.",
    )


def _letters(images: _Images) -> Finding:
    """Burned-in text, and whether its presence alone tells a class."""
    there = np.array([seen.letters > 0 for seen in images.seen])
    labels = np.array([row.label for row in images.rows])
    paths = tuple(row.path for row, has in zip(images.rows, there.tolist(), strict=True) if has)
    if not paths:
        return Finding(check="letters", status=Status.PASS, value=0.5, why="No image has letters burned in.")
    classes = sorted(set(labels.tolist()))
    shares = ", ".join(f"{there[labels == name].mean():.0%} of {name}" for name in classes)
    told = [_told(labels == name, there, images.groups, level=1 - 0.05 / len(classes)) for name in classes]
    least, auroc, name = max((least, auroc, name) for (auroc, least), name in zip(told, classes, strict=True))
    sure = least >= TOLD
    meaning = (
        f"tells {name} from the rest with AUROC {auroc:.2f} without looking at the lungs."
        if sure
        else f"is not shown to predict a class (AUROC {auroc:.2f}), but a network may read what they say."
    )
    return Finding(
        check="letters",
        status=Status.FAIL if sure else Status.WARN,
        value=auroc,
        why=f"Letters are burned into {len(paths)} of {len(there)} images ({shares}); whether there are any {meaning}",
        do="Cut the border off (cxrfeat extract `border_crop=0.1`) or fill the letters in (cxrfeat extract "
        "`letters=True`), and compare.",
        images=paths,
    )


def _colour(images: _Images) -> Finding:
    """Colour: an X-ray has none, so what has was marked, tinted, or is no X-ray."""
    return _verdict(
        "colour",
        images,
        np.array([seen.colour >= _COLOURED for seen in images.seen]),
        good="No image is in colour",
        bad="in colour, as no X-ray is: marked, tinted or photographed",
        do="Look at these images; replace marked or photographed ones with the originals.",
        fails=False,  # every image is made grey before a network sees it
    )


def _tiny(images: _Images) -> Finding:
    """Images too small to show what a radiologist looks for."""
    sides = np.array([min(row.header.width, row.header.height) for row in images.rows])
    found = _verdict(
        "tiny",
        images,
        sides < SMALL,
        good=f"No image has a side under {SMALL} pixels",
        bad=f"under {SMALL} pixels on a side, the smallest {sides.min()}",
        do="Use the originals of these images instead of thumbnails, or delete them.",
        fails=False,
    )
    return replace(found, status=Status.FAIL) if sides.min() < TOO_SMALL else found


def _orientation(images: _Images) -> Finding:
    """Turned images and other views, by their shape and by how they look."""
    stretch = np.log([row.header.width / row.header.height for row in images.rows])
    odd = np.abs(stretch - np.median(stretch)) > math.log(_ASPECT)
    named = np.array([is_lateral(row.view_position) for row in images.rows])
    lies = (images.turned >= _TURNED) & (images.turned - images.upright >= _GAIN) & (images.turned >= -images.upright)
    return _verdict(
        "orientation",
        images,
        odd | named | lies,
        good="Every image is upright and of a usual shape",
        bad="turned, lateral, or shaped unlike the others",
        do="Turn these images upright; keep frontal views only, or one view throughout.",
    )


def _depth(images: _Images) -> Finding:
    """Images whose grey values were scaled by the wrong range: 12 bits stored as 16 come out nearly black."""
    coarse = [seen.levels < _LEVELS and not _is_blank(seen) for seen in images.seen]
    dark = [_is_misread(seen) for seen in images.seen]
    return _verdict(
        "depth",
        images,
        np.array(dark) | np.array(coarse),
        good="Every image uses its range of grey values",
        bad=f"within the darkest quarter of their range of grey values, or hold fewer than {_LEVELS} of them",
        do="Export these images again: stretch 12 bits to 16 (times 16), or state MaxSampleValue in the TIFF.",
    )


def _is_blank(seen: Inspection) -> bool:
    even = seen.white >= _SAME or seen.black >= _SAME or seen.spread < _EVEN
    return even and not _is_misread(seen)


def _is_misread(seen: Inspection) -> bool:
    """Whether all of an image is there, but dark; what is black or of one grey has no contrast for its brightness."""
    return seen.high < _DARK and seen.levels >= _LEAST_LEVELS and seen.spread >= _LEAST_CONTRAST * seen.high


def _verdict(
    check: str, images: _Images, flagged: NDArray[np.bool_], *, good: str, bad: str, do: str, fails: bool = True
) -> Finding:
    """Pass, warn, or, from a twentieth of a class on, fail; the value is how many images are flagged."""
    count, every = int(flagged.sum()), len(images.rows)
    if not count:
        return Finding(check=check, status=Status.PASS, value=0, why=f"{good}.")
    flagged_rows = [row for row, flag in zip(images.rows, flagged.tolist(), strict=True) if flag]
    sizes, found = Counter(row.label for row in images.rows), Counter(row.label for row in flagged_rows)
    share, worst = max((found[name] / sizes[name], name) for name in sorted(found))
    serious = fails and share >= SERIOUS
    where = f" ({found[worst]} of {sizes[worst]} of {worst})" if len(sizes) > 1 else ""
    return Finding(
        check=check,
        status=Status.FAIL if serious else Status.WARN,
        value=count,
        why=f"{count} of {every} images{where} are {bad}.",
        do=do,
        images=tuple(row.path for row in flagged_rows),
    )


def _told(
    positive: NDArray[np.bool_], there: NDArray[np.bool_], groups: Groups, *, level: float
) -> tuple[float, float]:
    """How well a flag tells a class, as an AUROC of 0.5 or more, and the lower end of its interval."""
    found = auroc_interval(positive, there.astype(np.float64), groups, level=level)
    auroc = found["auroc"]
    if auroc is None:
        return 0.5, 0.5
    if found["ci"] is not None:
        low, high = found["ci"]
        return max(auroc, 1 - auroc), max(low, 1 - high)
    # The flag parts the classes completely, which has no interval; chance does that once in this many ways to choose.
    ours, theirs = (len(np.unique(groups[side])) for side in (positive, ~positive))
    sure = auroc in (0.0, 1.0) and 1 / math.comb(ours + theirs, ours) <= (1 - level) / 2
    return max(auroc, 1 - auroc), 1.0 if sure else 0.5


def _unit(thumbnails: _Thumbnails) -> _Thumbnails:
    centred = thumbnails - thumbnails.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    unit: _Thumbnails = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    return unit


def _usual(thumbnails: _Thumbnails) -> NDArray[np.float64]:
    """The median of all, negatives turned: a chest is brighter in the middle than in the lungs on both sides of it.

    So a set of negatives alone is found too, which looks as usual as any other.
    """
    middle = thumbnails[:, 2:6, 3:5].mean(axis=(1, 2))
    lungs = (thumbnails[:, 2:6, 1:3].mean(axis=(1, 2)) + thumbnails[:, 2:6, 5:7].mean(axis=(1, 2))) / 2
    sign = np.where(middle < lungs, -1.0, 1.0)
    usual: NDArray[np.float64] = _unit(np.median(thumbnails * sign[:, None, None], axis=0)[None])[0]
    return usual


def _likeness(thumbnails: _Thumbnails, usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(images,)` correlations with `usual`, -1 to 1."""
    correlations: NDArray[np.float64] = np.einsum("nij,ij->n", thumbnails, usual)
    return correlations

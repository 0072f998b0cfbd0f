"""Where a run looked, as a page shows it: pictures, means and verdicts, or why there is nothing."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import CxrFeatError, InputError, MissingExtraError, UsageError, WeightsError
from cxrfeat.explaining.explained import Explained
from cxrfeat.explaining.explainer import NAMES
from cxrfeat.explaining.images import CHECKED
from cxrfeat.explaining.ready import pixels_of
from cxrfeat.reporting.content import (
    Heat,
    HeatPicture,
    MeanHeat,
)
from cxrfeat.reporting.picture import Pixels, jpeg_address, overlay, reduced

SIDE = 400
"""Height and width of a picture under its heat, at most, in pixels."""


def heat_shown(found: Explained, tested: int, *, images: bool) -> Heat:
    """Where a run looked; judged alone where the page may hold no pictures.

    Args:
        found: What explaining gave.
        tested: Test images of the run.
        images: Whether the page may hold pictures.
    """
    pictures = []
    for one in found.images if images else ():
        small = reduced(pixels_of(one.path), SIDE)
        pictures.append(
            HeatPicture(
                label=one.true or "unknown",
                predicted=one.label,
                probability=one.probabilities[one.label],
                image=jpeg_address(small),
                overlay=_laid(small, one.placing.lay(one.heat, small.shape)),
                caption=one.image,
            )
        )
    means = tuple(
        MeanHeat(
            label=name,
            images=mean.images,
            image=jpeg_address(mean.picture),
            overlay=_laid(mean.picture, mean.heat),
        )
        for name, mean in (found.means.items() if images else ())
    )
    return Heat(
        method=NAMES[found.method],
        pictures=tuple(sorted(pictures, key=lambda one: one.right)),
        means=means,
        findings=tuple(asdict(one) for one in found.findings),
        judged=found.judged,
        tested=tested,
        chosen=_chosen(found),
        notes=found.notes,
    )


def _chosen(found: Explained) -> str:
    """How the judged images were chosen from those that tested the run, where they were."""
    if found.method == "occlusion":  # judged on those that are shown
        return "chosen half right and half wrong, as far as there are both"
    return "drawn by chance" if found.judged + len(found.quarantined) >= CHECKED else ""


def _laid(picture: Pixels, heat: NDArray[np.float32]) -> str:
    return jpeg_address(overlay(picture, heat))


def why_none(error: CxrFeatError) -> str:
    """Why a run has no heat maps, in words that name no place and no image: the page may go anywhere."""
    return next(said for kind, said in _WHY_NONE if isinstance(error, kind))


_WHY_NONE: tuple[tuple[type[CxrFeatError], str], ...] = (
    (WeightsError, "its network is not where it was, or is another one. Say where it is with `network`."),
    (MissingExtraError, "they take an optional package that is not installed."),
    (UsageError, "no way of explaining goes with its head and its network."),
    (InputError, "its test images cannot be used as it saw them."),
)

"""Where a run looked, as a page shows it: pictures, means and verdicts, or why there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import CxrFeatError, InputError, MissingExtraError, UsageError, WeightsError
from cxrfeat.explaining.explained import Explained
from cxrfeat.explaining.explainer import NAMES
from cxrfeat.explaining.images import CHECKED
from cxrfeat.explaining.job import Question
from cxrfeat.explaining.ready import pixels_of
from cxrfeat.explaining.together import explain_together
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import Manifest
from cxrfeat.reporting.asked import Asked
from cxrfeat.reporting.comparison import tested
from cxrfeat.reporting.content import (
    DataContent,
    Heat,
    HeatPicture,
    MeanHeat,
)
from cxrfeat.reporting.picture import Pixels, jpeg_address, overlay, reduced
from cxrfeat.run.folder import Run

EXPLAINED, SHOWN = 3, 8
"""Runs of one data set that heat maps are made for, the best first, and test images of each."""

SIDE = 400
"""Height and width of a picture under its heat, at most, in pixels."""


def with_heat(
    content: DataContent, runs: Sequence[Run], manifest: Manifest, asked: Asked
) -> tuple[DataContent, list[str]]:
    """What is shown of one data set, with the heat maps of its best runs.

    Args:
        content: What is shown already.
        runs: The runs.
        manifest: The images.
        asked: What the page is to show.

    Returns:
        The same with heat maps, or with notes of why a run has none; and those notes in full, with the places that they
        name, which are not for the page.
    """
    by_name = {run.name: run for run in runs}
    told, notes, aside = list(content.runs), list(content.notes), []
    chosen = [by_name[one.summary["run"]] for one in told[: asked.explained]]
    identity = Identity.load() if asked.redact else None
    question = Question(manifest=manifest, count=SHOWN, network=asked.network, identity=identity, seed=asked.seed)
    found = explain_together(chosen, question, asked.progress)
    for place, (run, of_run) in enumerate(zip(chosen, found, strict=True)):
        if isinstance(of_run, CxrFeatError):
            notes.append(f"No heat maps of {run.name}: {_why_none(of_run)}")
            aside.append(f"No heat maps of {run.name}: {of_run}")
        else:
            told[place] = replace(told[place], heat=_heat(of_run, images=asked.images))
    if len(told) > len(chosen):
        best = "run" if asked.explained == 1 else asked.explained
        notes.append(f"Heat maps are of the best {best}; for those of another run, report it alone.")
    return replace(content, runs=tuple(told), notes=tuple(notes)), aside


def _heat(found: Explained, *, images: bool) -> Heat:
    """Where a run looked; judged alone where the page may hold no pictures."""
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
        tested=len({sha for sha, _ in tested(found.run).rows}),
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


def _why_none(error: CxrFeatError) -> str:
    """Why a run has no heat maps, in words that name no place and no image: the page may go anywhere."""
    return next(said for kind, said in _WHY_NONE if isinstance(error, kind))


_WHY_NONE: tuple[tuple[type[CxrFeatError], str], ...] = (
    (WeightsError, "its network is not where it was, or has changed. Say where it is with `network`."),
    (MissingExtraError, "they take an optional package that is not installed."),
    (UsageError, "no way of explaining goes with its head and its network."),
    (InputError, "its test images cannot be used as it saw them."),
)

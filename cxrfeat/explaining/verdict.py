"""What the heat of many images comes to: verdicts, the mean of each class, and its most typical images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import CxrFeatError, InputError
from cxrfeat.explaining.explained import ClassMean, Explained, ExplainedImage, groups_of, rounded
from cxrfeat.explaining.heat import heat_of
from cxrfeat.explaining.job import Job, Question
from cxrfeat.explaining.judge import Seen, border_of, check_border, check_corners, check_lungs, corners_of, share
from cxrfeat.explaining.place import FRAME, from_frame
from cxrfeat.types import Finding, failed_first

TYPICAL = 6
"""Images shown as the most typical of a class."""


def explained_of(job: Job, question: Question) -> Explained | CxrFeatError:
    """What a job has come to, once its images were looked at; the error if none could be used."""
    found, classes, judged = job.found, job.explainer.head.classes, question.judged
    if not found:
        told = "; ".join(f"{one.path}: {one.reason}" for one in job.bad[-len(job.looked_at) :][:3])
        return InputError(f"None of the {len(job.looked_at)} images can be used ({told}). Check the files.")
    findings = [*_judged(found, classes), *job.probed] if judged else []
    notes = [*job.notes, *(_judged_on(found, len(job.tested), cheap=job.cheap) if judged else ())]
    shown = {one.path for one in job.shown}
    # Single images come in the order in which they were named, those of a folder by class and name.
    named = question.manifest is None
    order = {one.path: (one.label or "", place if named else 0, one.name) for place, one in enumerate(job.shown)}
    return Explained(
        run=job.run,
        method=job.explainer.method,
        images=tuple(sorted((one for one in found if one.path in shown), key=lambda one: order[one.path])),
        findings=tuple(failed_first(findings)),
        means=_means(found, job.sums) if judged else {},
        typical=_typical(found, classes) if judged else {},
        judged=len(found) if judged else 0,
        quarantined=tuple(job.bad),
        total=job.total,
        notes=tuple(notes),
        random=job.explainer.graph.network.random,
    )


def _judged(found: Sequence[ExplainedImage], classes: tuple[str, ...]) -> list[Finding]:
    border, corners = border_of(FRAME), corners_of(FRAME)
    frames = [one.frame() for one in found]
    views = [one.placing.seen(FRAME) for one in found]

    def of_heat(regions: Iterable[NDArray[np.bool_]]) -> NDArray[np.float64]:
        return np.array([share(frame, region) for frame, region in zip(frames, regions, strict=True)])

    def of_area(regions: Iterable[NDArray[np.bool_]]) -> NDArray[np.float64]:
        return np.array([float(region[view].mean()) for region, view in zip(regions, views, strict=True)])

    lungs = [one.lungs for one in found]
    seen = Seen(
        classes=classes,
        explained=np.array([classes.index(one.explained) for one in found], np.int64),
        groups=groups_of(found),
        lungs=of_heat(lungs),
        lungs_area=of_area(lungs),
        border=of_heat([border] * len(found)),
        border_area=of_area([border] * len(found)),
        corners=np.stack([of_heat([one] * len(found)) for one in corners], axis=1),
        corner_area=np.stack([of_area([one] * len(found)) for one in corners], axis=1),
    )
    return [check_corners(seen), check_lungs(seen, masked=sum(one.masked for one in found)), check_border(seen)]


def _judged_on(found: Sequence[ExplainedImage], tested: int, *, cheap: bool) -> list[str]:
    """What is to be said of the images behind the verdicts."""
    notes = []
    if len(found) < tested:
        right = sum(bool(one.right) for one in found)
        how = "drawn by chance" if cheap else "those shown"
        notes.append(
            f"Judged on {len(found)} of {tested} test images, {how}: {right} predicted right and "
            f"{len(found) - right} wrong."
        )
    if not cheap:
        notes.append(
            "Agreement of views and randomised weights were not checked: occlusion takes a hundred passes through the "
            "network for each map, and these checks take seven more of each image."
        )
    return notes


def _means(found: Sequence[ExplainedImage], sums: Mapping[str, NDArray[np.float64]]) -> dict[str, ClassMean]:
    made = {}
    for name in sorted(sums):
        items = [one for one in found if one.explained == name]
        frames = [frame / frame.sum() for frame in (one.frame() for one in items) if frame.any()]
        mean = np.mean(frames, axis=0) if frames else np.zeros(FRAME)
        lungs = np.mean([one.lungs for one in items], axis=0)
        frame = heat_of(mean.astype(np.float32))
        made[name] = ClassMean(
            images=len(items),
            frame=frame,
            heat=from_frame(frame, items[0].placing.view),
            picture=np.rint(sums[name] / len(items)).astype(np.uint8),
            in_lungs=rounded(share(mean, lungs > 0.5)),
            in_border=rounded(share(mean, border_of(FRAME))),
        )
    return made


def _typical(found: Sequence[ExplainedImage], classes: Sequence[str]) -> dict[str, tuple[ExplainedImage, ...]]:
    return {
        name: tuple(sorted((one for one in found if one.explained == one.label == name), key=lambda one: -one.score))[
            :TYPICAL
        ]
        for name in classes
    }

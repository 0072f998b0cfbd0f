"""Images through a network, each once for all runs that share it: what of each image speaks for the class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cxrfeat.explaining.averaged import AnyGraph
from cxrfeat.explaining.explained import ExplainedImage
from cxrfeat.explaining.explainer import Looked
from cxrfeat.explaining.graph import BATCH
from cxrfeat.explaining.heat import heat_of
from cxrfeat.explaining.images import Candidate
from cxrfeat.explaining.job import Job
from cxrfeat.explaining.place import Placing
from cxrfeat.explaining.ready import Ready, readied
from cxrfeat.explaining.score import scores
from cxrfeat.image.row import Quarantined
from cxrfeat.types import Progress, named


def look(jobs: Sequence[Job], target: str | None, progress: Progress | None) -> None:
    """Explain the images of runs that share a network and a view; what is found is added to each job.

    Args:
        jobs: Of these runs.
        target: The class to explain, one of every run's; `None` is the predicted one of each image.
        progress: Called after every part.
    """
    graph, view = jobs[0].explainer.graph, jobs[0].view
    wanted = union(job.looked_at for job in jobs)
    places = [{one.path: place for place, one in enumerate(job.looked_at)} for job in jobs]
    done = 0
    for part in readied(wanted, view, named(progress, "explaining")):
        images = wanted[done : done + len(part)]
        done += len(part)
        for job, own in zip(jobs, places, strict=True):
            job.bad += [
                one
                for one, image in zip(part, images, strict=True)
                if isinstance(one, Quarantined) and image.path in own
            ]
        good = [one for one in part if isinstance(one, Ready)]
        for start in range(0, len(good), BATCH):  # maps are large
            _look_at(good[start : start + BATCH], graph, jobs, places, target)
    for job, own in zip(jobs, places, strict=True):
        job.found.sort(key=lambda one: own[one.path])  # called at once


def union(each: Iterable[Sequence[Candidate]]) -> list[Candidate]:
    """The images of several runs, each once."""
    return list({one.path: one for images in each for one in reversed(images)}.values())[::-1]


def of_all(rows: list[int], few: Sequence[object]) -> slice | list[int]:
    """Some rows as an index, which copies no maps where they are all."""
    return slice(None) if len(rows) == len(few) else rows


def _look_at(
    few: Sequence[Ready],
    graph: AnyGraph,
    jobs: Sequence[Job],
    places: Sequence[Mapping[Path, int]],
    target: str | None,
) -> None:
    views = np.concatenate([one.views for one in few])
    maps, features = graph.run(views)
    for job, own in zip(jobs, places, strict=True):
        rows = [row for row, one in enumerate(few) if one.candidate.path in own]
        if rows:
            at = of_all(rows, few)
            _take(job, [few[row] for row in rows], job.explainer.judged(views[at], maps[at], features[at]), target)


def _take(job: Job, good: Sequence[Ready], looked: Looked, target: str | None) -> None:
    """Keep where the class comes from in some images."""
    explainer, classes = job.explainer, job.explainer.head.classes
    predicted = looked.probabilities.argmax(axis=1).astype(np.int64)
    wanted = predicted if target is None else np.full(len(good), classes.index(target), np.int64)
    evidence = explainer.evidence(looked, wanted)
    score = scores(explainer.head, looked.features)
    for row, one in enumerate(good):
        name = classes[int(wanted[row])]
        job.sums[name] = job.sums.get(name, np.zeros(one.views.shape[1:])) + one.views[0]
        job.found.append(
            ExplainedImage(
                image=one.candidate.name,
                path=one.candidate.path,
                true=one.candidate.label,
                label=classes[int(predicted[row])],
                probabilities=dict(zip(classes, looked.probabilities[row].tolist(), strict=True)),
                explained=name,
                score=float(score[row, wanted[row]]),
                method=explainer.method,
                evidence=evidence[row],
                heat=heat_of(evidence[row]),
                placing=Placing(fields=explainer.fields, view=job.view),
                size=one.size,
                group=one.candidate.group,
                lungs=one.lungs,
                masked=one.masked,
            )
        )

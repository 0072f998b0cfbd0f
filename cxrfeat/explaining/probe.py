"""Two checks that look at some images again: in other views, and with what was learnt taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrfeat.explaining.explained import ExplainedImage, groups_of
from cxrfeat.explaining.explainer import Explainer
from cxrfeat.explaining.graph import BATCH, Maps
from cxrfeat.explaining.heat import Evidence
from cxrfeat.explaining.job import Job
from cxrfeat.explaining.judge import check_randomised, check_views, correlation, rank_correlation
from cxrfeat.explaining.looking import of_all, union
from cxrfeat.explaining.place import FRAME, Placing
from cxrfeat.explaining.ready import Ready, readied
from cxrfeat.explaining.score import shuffled
from cxrfeat.types import Features, Progress, Views, named

PROBED = 24
"""Images whose other views and whose randomised maps are looked at: a mean correlation is then known to
about 0.1."""

DRAWN = 3
"""Views of each, besides the plain one."""

HEADS = 3
"""Shuffled heads."""


def probe(jobs: Sequence[Job], seed: int, progress: Progress | None) -> None:
    """Look again at some images of runs that share a network and a view; the verdicts are added to each job.

    Args:
        jobs: Of these runs, which have looked at their images.
        seed: Seed of the randomised weights.
        progress: Called after every part.
    """
    graph, view = jobs[0].explainer.graph, replace(jobs[0].view, count=1 + DRAWN)
    items = [{one.path: one for one in job.found[:PROBED]} for job in jobs]
    again = union([one for one in job.looked_at if one.path in probed] for job, probed in zip(jobs, items, strict=True))
    heads: list[list[Explainer]] = []
    for job in jobs:
        rng = np.random.default_rng(seed)  # for each its own, so that a run's figures are its own
        heads.append([replace(job.explainer, head=shuffled(job.explainer.head, rng)) for _ in range(HEADS)])
    agreement: list[list[float]] = [[] for _ in jobs]
    alike: list[list[list[float]]] = [[[] for _ in range(HEADS)] for _ in jobs]
    kept: list[list[ExplainedImage]] = [[] for _ in jobs]
    plain_views: dict[Path, Views] = {}
    for part in readied(again, view, named(progress, "other views")):
        good = [one for one in part if isinstance(one, Ready)]  # all could be read a moment ago
        for one in good:
            maps, features = graph.run(one.views)
            plain_views[one.candidate.path] = one.views[:1].copy()  # a part would keep the others
            for number, job in enumerate(jobs):
                item = items[number].get(one.candidate.path)
                if item is None:
                    continue
                index = np.full(view.count, job.explainer.head.classes.index(item.explained), np.int64)
                evidence = job.explainer.evidence(job.explainer.judged(one.views, maps, features), index)
                placings = [replace(item.placing, params=params) for params in one.params]
                agreement[number].append(_agreement(evidence, placings))
                for head, found in zip(heads[number], alike[number], strict=True):
                    found += _alike(head, [item], one.views[:1], maps[:1], features[:1])
                kept[number].append(item)
    if not plain_views:
        return
    heads.clear()  # before a second network is made
    graph.shuffle(rng)  # all heads on one network are as wide, and have drawn as much
    try:
        networks = _shuffled_network(jobs, plain_views, kept)
    finally:
        graph.restore()
    for job, agreed, of_heads, of_network, those in zip(jobs, agreement, alike, networks, kept, strict=True):
        if those:
            groups = groups_of(those)
            by_head = float(np.mean([np.mean(found) for found in of_heads]))
            randomised = check_randomised(by_head, of_network, len(np.unique(groups)))
            job.probed += [check_views(np.array(agreed), groups), randomised]


def _agreement(evidence: Evidence, placings: Sequence[Placing]) -> float:
    """Mean correlation of the drawn views' evidence with the plain view's, where both show the image."""
    laid = [placing.lay(map_, FRAME) for placing, map_ in zip(placings, evidence, strict=True)]
    seen = [placing.seen(FRAME) for placing in placings]
    each = [correlation(laid[0], other, seen[0] & there) for other, there in zip(laid[1:], seen[1:], strict=True)]
    return float(np.mean(each))


def _shuffled_network(
    jobs: Sequence[Job], plain_views: Mapping[Path, Views], kept: Sequence[Sequence[ExplainedImage]]
) -> list[float | None]:
    """How alike the maps of each run stay where the network is shuffled; `None` where it overflows, or has none."""
    graph, paths = jobs[0].explainer.graph, list(plain_views)
    wanted = [{one.path: one for one in those} for those in kept]
    alike: list[list[float]] = [[] for _ in jobs]
    for start in range(0, len(paths), BATCH):  # maps are large
        few = paths[start : start + BATCH]
        views = np.concatenate([plain_views[path] for path in few])
        maps, features = graph.run(views)
        if not (np.isfinite(maps).all() and np.isfinite(features).all()):
            return [None for _ in jobs]
        for job, items, found in zip(jobs, wanted, alike, strict=True):
            rows = [row for row, path in enumerate(few) if path in items]
            if rows:
                at = of_all(rows, few)
                found += _alike(job.explainer, [items[few[row]] for row in rows], views[at], maps[at], features[at])
    return [float(np.mean(found)) if found else None for found in alike]


def _alike(
    explainer: Explainer, items: Sequence[ExplainedImage], views: Views, maps: Maps, features: Features
) -> list[float]:
    """How alike the maps of something that has learnt nothing are to those of some images."""
    index = np.array([explainer.head.classes.index(one.explained) for one in items], np.int64)
    evidence = explainer.evidence(explainer.judged(views, maps, features), index)
    return [abs(rank_correlation(one.evidence, other)) for one, other in zip(items, evidence, strict=True)]

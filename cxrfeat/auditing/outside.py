"""How a run does on another data set: the same scores beside its own test, and what to hold against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.caveat import findings_on, notes_on, sources_of_both
from cxrfeat.auditing.elsewhere import Outside, among, images_judged, shared_classes
from cxrfeat.auditing.source import SourceTable
from cxrfeat.feature.described import number_groups
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import SeenImage
from cxrfeat.head.apart import told_apart
from cxrfeat.head.evaluation import evaluation_of
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.image.deal import cuts
from cxrfeat.metric.gap import gap
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.recalibration import calibration_lines, recalibrate
from cxrfeat.metric.score import scores
from cxrfeat.metric.share import share_over_groups
from cxrfeat.run.document import Evaluation
from cxrfeat.run.folder import AnyRun, Run, TargetRun
from cxrfeat.run.record import digest8, from_json, to_json
from cxrfeat.run.validation import (
    Apart,
    CalibrationLines,
    Gap,
    OfSource,
    Recalibrated,
    Seen,
    SourceCounts,
    Unlike,
    Validation,
)
from cxrfeat.types import Groups, Labels, Probabilities

_MOST_SOURCES = 30
"""Sources that are scored one by one."""


def judge(
    run: Run,
    head: FittedHead,
    novelty: Novelty,
    other: FeatureFile,
    own: FeatureFile | None,
    *,
    renamed: Mapping[str, str],
    seen: Sequence[SeenImage],
    looked_for: Sequence[str],
    share: float | None = None,
    seed: int = 0,
) -> tuple[Validation, Outside]:
    """Score a run on another data set.

    Args:
        run: The run.
        head: Its head.
        novelty: What tells images unlike those it was fitted on.
        other: Features of the other set, by the run's network and of as many views as it predicts by.
        own: The run's own features; without them nothing is said of how the two sets differ.
        renamed: By the name of a class elsewhere, the run's.
        seen: Images to leave out.
        looked_for: How these were looked for.
        share: Of the groups, to mend the probabilities on; `None` is not to.
        seed: Of all draws.

    Returns:
        The validation, without subgroups, and what was judged.

    Raises:
        UsageError: If `renamed` names no class.
        InputError: If fewer than two classes are in both, or no image of one is left.
    """
    document = run.document
    shared, names, hints = shared_classes(run, other.content.dataset, other.classes, other.labels, renamed)
    outside, counts, additional = images_judged(run, head, other, shared, names, seen)
    y, probabilities, groups, rows = outside.y, outside.probabilities, outside.groups, outside.rows
    whole = shared == document.classes
    thresholds = _thresholds(run) if whole else None
    external = evaluation_of(
        y, probabilities, groups, other.content.columns["source"][rows].astype(np.int64), shared, seed,
        thresholds=thresholds,
    )  # fmt: skip
    internal = _internal(run, own, shared, seed)
    notes = [*hints, *notes_on(run, other, shared, additional, seen, own, looked_for)]
    recalibrated = None
    if share is not None:
        recalibrated = _recalibrated(y, probabilities, groups, shared, share, seed)
        if recalibrated is None:
            notes.append(
                "The probabilities could not be recalibrated on a part of the images: a class has too few groups for "
                "two "
                "parts."
            )
    plain = other.arrays(0)[0][rows]
    apart = {} if own is None else _apart(own, plain, outside, seed)
    table = None if own is None else sources_of_both(run, own, other, outside)
    validation = Validation(
        identity=digest8(document.identity),
        dataset=other.content.dataset,
        data_sha256=other.content.data_sha256,
        features=other.fingerprint,
        classes=shared,
        renamed={theirs: ours for theirs, ours in renamed.items() if theirs in other.classes},
        lacking=tuple(name for name in document.classes if name not in shared),
        additional=additional,
        counts=counts,
        seen=tuple(Seen(image_id=other.image_ids[one.row], how=one.how, part=one.part) for one in seen),
        looked_for=tuple(looked_for),
        internal=internal,
        external=external,
        gap=from_json(Gap, gap(to_json(internal), to_json(external))),
        calibration=_lines(y, probabilities, groups, shared, to_json(external)),
        recalibrated=recalibrated,
        out_of_distribution=share_unlike(run, novelty, plain, groups, own, seed),
        apart=apart,
        sources=None if table is None else _counts(table),
        by_source=_by_source(other, outside, seed),
        subgroups=(),
        subgroup_gaps=(),
        audit=tuple(findings_on(run, other, outside, external, apart, table, seen)),
        notes=tuple(notes),
        made=date.today().isoformat(),
        random_weights=document.random_weights,
    )
    return validation, outside


def _internal(run: Run, own: FeatureFile | None, shared: tuple[str, ...], seed: int) -> Evaluation:
    """The run's own test, on the images of some classes."""
    test = run.document.test
    if shared == run.document.classes:
        return Evaluation(**{one.name: getattr(test, one.name) for one in fields(Evaluation)})
    told = run.predictions()
    number = {run.document.classes.index(name): index for index, name in enumerate(shared)}
    rows = np.array([row for row in told.tested.tolist() if int(told.labels[row]) in number])
    contents = [told.contents[row] for row in rows.tolist()]
    source = {} if own is None else dict(zip(own.content_sha256, own.content.columns["source"].tolist(), strict=True))
    return evaluation_of(
        np.array([number[label] for label in told.labels[rows].tolist()]),
        among(told.probabilities[rows], run.document.classes, shared),
        number_groups([told.groups[row] for row in rows.tolist()], contents),
        np.array([source.get(content, -1) for content in contents], dtype=np.int64),
        shared,
        seed,
        images=len(set(contents)),
    )


def _thresholds(run: Run) -> dict[str, float] | None:
    """Those of the run's operating points, where they were chosen on other images than its test's."""
    points = run.document.test.operating_points
    if points.chosen_on != "validation":
        return None
    found = {name: one.at_threshold for name, one in points.classes.items()}
    return {name: point.threshold for name, point in found.items() if point is not None}


def _lines(
    y: Labels, probabilities: Probabilities, groups: Groups, classes: Sequence[str], told: Mapping[str, Any]
) -> CalibrationLines:
    """Slopes and intercepts, beside the errors among scores that are reported anyway."""
    errors = ("ece", "ece_ci", "log_loss", "log_loss_ci")
    return from_json(
        CalibrationLines,
        {
            **calibration_lines(y, probabilities, groups, classes),
            **{name: told[name] for name in errors},
            "images": len(y),
            "groups": len(np.unique(groups)),
        },
    )


def _recalibrated(
    y: Labels, probabilities: Probabilities, groups: Groups, classes: tuple[str, ...], share: float, seed: int
) -> Recalibrated | None:
    for taken in cuts(y, groups, share, [seed, 5]):
        if all(len(np.unique(y[side])) == len(classes) for side in (taken, ~taken)):
            break
    else:
        return None
    mended = recalibrate(y[taken], probabilities[taken])
    rest = ~taken

    def lines(said: Probabilities) -> CalibrationLines:
        told = scores(y[rest], said, classes) | bootstrap(y[rest], said, groups[rest], classes, seed=seed)
        return _lines(y[rest], said, groups[rest], classes, told)

    return Recalibrated(
        share=share,
        images=int(taken.sum()),
        groups=len(np.unique(groups[taken])),
        slope=mended.slope,
        shifts=dict(zip(classes, mended.shifts, strict=True)),
        before=lines(probabilities[rest]),
        after=lines(mended.of(probabilities[rest])),
    )


def share_unlike(
    run: AnyRun, novelty: Novelty, plain: NDArray[np.float32], groups: Groups, own: FeatureFile | None, seed: int
) -> Unlike:
    """How many images of another set are unlike those that a run was fitted on, and how many of its own test are.

    Args:
        run: Of any kind.
        novelty: What tells such images.
        plain: `(n, dim)` features of the plain views of the other images.
        groups: `(n,)`.
        own: The run's own features; without them nothing is said of its own test.
        seed: Of the draws.
    """
    share, ends = share_over_groups(novelty.outside(plain), groups, seed=seed)
    assert share is not None  # there are images
    home, of_home = None, None
    if own is not None and (isinstance(run, TargetRun) or run.document.itself_tested):
        split = run.split()
        part = dict(zip(split.contents, split.parts, strict=True))
        rows = np.flatnonzero([part.get(content) == "test" for content in own.content_sha256])
        home, of_home = share_over_groups(novelty.outside(own.arrays(0)[0][rows]), own.groups[rows], seed=seed)
    return Unlike(share=share, share_ci=_pair(ends), at_home=home, at_home_ci=_pair(of_home))


def _pair(ends: Sequence[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])


def _apart(own: FeatureFile, plain: NDArray[np.float32], outside: Outside, seed: int) -> dict[str, Apart]:
    ours = own.arrays(0)[0]
    found = {}
    for index, name in enumerate(outside.classes):
        home = np.flatnonzero(own.labels == own.classes.index(name))
        away = outside.y == index
        told = told_apart(ours[home], own.groups[home], plain[away], outside.groups[away], seed)
        found[name] = from_json(Apart, told)
    return found


def _counts(table: SourceTable) -> SourceCounts:
    return SourceCounts(sources=table.sources, counts=tuple(tuple(row) for row in table.counts.T.tolist()))


def _by_source(other: FeatureFile, outside: Outside, seed: int) -> tuple[OfSource, ...]:
    every = other.sources
    sources = np.array([every[row] or "" for row in outside.rows.tolist()])
    names = sorted(set(sources.tolist()) - {""})
    found = []
    for name in names if len(names) <= _MOST_SOURCES else ():
        here = np.flatnonzero(sources == name)
        y, probabilities, groups = outside.y[here], outside.probabilities[here], outside.groups[here]
        told = scores(y, probabilities, outside.classes) | bootstrap(
            y, probabilities, groups, outside.classes, seed=seed
        )
        counts = {label: int(np.count_nonzero(y == index)) for index, label in enumerate(outside.classes)}
        of_source: dict[str, Any] = {
            "source": name,
            "images": len(y),
            "groups": len(np.unique(groups)),
            "counts": counts,
        }
        figures = ("accuracy", "balanced_accuracy", "auroc")
        of_source |= {key: told[key] for figure in figures for key in (figure, f"{figure}_ci")}
        found.append(from_json(OfSource, of_source))
    return tuple(found)

"""The recipe of doubtful labels: heads that never saw an image's patient say what they think of its label."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cxrfeat.bar import with_bar
from cxrfeat.errors import SplitError, UsageError
from cxrfeat.feature.called import Called
from cxrfeat.feature.described import number_groups
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.data import load
from cxrfeat.head.left_out import left_out_by_folds, left_out_by_ridge
from cxrfeat.metric.doubt import doubt_labels
from cxrfeat.notebook import brief
from cxrfeat.reporting.labels import joint_table, labels_table
from cxrfeat.reporting.table import tables_html
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.run.record import to_json
from cxrfeat.spec import HeadSpec
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.types import Groups, Labels, Probabilities, Progress

FOLDS = 5
"""Where a head is named and the user does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLabel:
    """The verdict on one label."""

    image: str
    """The path relative to the data folder, or the id if there is no manifest."""
    image_id: str
    label: str
    suggested: str
    """The class the heads are confident of; the label itself where they are confident of no other."""
    score: float
    """0 to 1: how unlikely the label is."""

    @property
    def doubtful(self) -> bool:
        """Whether the heads are confident that the image belongs to another class."""
        return self.suggested != self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDoubts:
    """The labels of a data set, the most doubtful first. Nothing was changed."""

    judged: tuple[JudgedLabel, ...]
    """Every label that was judged."""
    expected_wrong: float
    expected_wrong_ci: tuple[float, float] | None
    """Over groups; `None` where fewer than 8 bear it."""
    joint: dict[str, dict[str, float]]
    """By label, and by what its images are expected to be, how many."""
    by: str
    """Which heads judged."""
    random: bool
    """Whether the network has random weights, so that doubts mean nothing."""
    run: Run | None = None
    """Whose heads judged."""
    notes: tuple[str, ...] = ()

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the most doubtful labels, and what images of each class are expected to be."""
        told = self.to_dict()
        return tables_html(labels_table(told, 20), joint_table(told))

    @property
    def doubtful(self) -> tuple[JudgedLabel, ...]:
        """Labels that a person should look at."""
        return tuple(one for one in self.judged if one.doubtful)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `labels`."""
        doubtful = self.doubtful
        return {
            "by": self.by,
            "random_weights": self.random,
            "failed_checks": [] if self.run is None else to_json(self.run.failed_checks),
            "images": len(self.judged),
            "doubtful": len(doubtful),
            "expected_wrong": self.expected_wrong,
            "expected_wrong_ci": None if self.expected_wrong_ci is None else list(self.expected_wrong_ci),
            "joint": self.joint,
            "labels": [asdict(one) for one in doubtful],
            "notes": list(self.notes),
        }


@with_bar("fits")
def labels(
    given: RunLike,
    *,
    head: HeadLike | None = None,
    fold_count: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    classes: str | Iterable[str] = (),
    features: PathLike = "features",
    runs: PathLike = "runs",
    progress: Progress | None = None,
) -> LabelDoubts:
    """Rank labels by how doubtful they are, and estimate how many are wrong. No label is changed.

    Args:
        given: A feature file, whose images are each judged by heads that never saw their group; or a run, which judges
            the images that tested it: all of a cross-validation, else the test part.
        head: What judges the images of a feature file; `None` is ridge with each group left out exactly.
        fold_count: Number of grouped folds for a head that is named; 5 unless given.
        seed: Seed of the folds, the interval, and a head that is given only by name.
        jobs: Fits at a time.
        classes: Judge the images of these classes of a feature file only; empty is all.
        features: Folder with the manifest of a run's data set, which maps ids to paths.
        runs: Folder in which a run's name is looked for.
        progress: Called after every fit.

    Raises:
        InputError: If there is no such file or run, or its images cannot be judged.
        IntegrityError: If it is damaged.
        SplitError: If a class has fewer groups than folds, or the network has seen the images.
        UsageError: If a head is named next to a run, or several are.
    """
    chosen: list[str] = one_or_many(classes)
    if isinstance(given, Run) or not _is_file(given):
        if head is not None or fold_count is not None or chosen:
            raise UsageError(
                "A run judges with its own head: omit `head`, `fold_count` and `classes`, or name a feature file."
            )
        return _by_run(find_run(given, runs=runs), features, seed)
    with ExitStack() as stack:
        file = stack.enter_context(FeatureFile(given))
        if file.spec.split is not None:
            raise SplitError(
                f"{file.path.name} comes from a network that has seen the training part of one split, so no head "
                "on its features can judge those labels. Fit one with `cxrfeat fit-head` and name its run: it "
                "judges its test part."
            )
        if head is None and fold_count is None:
            file = file.of_classes(chosen) if chosen else file
            by, probabilities = "ridge, each patient left out in turn", left_out_by_ridge(file)
        else:
            spec = _one(head_specs("ridge" if head is None else head, seed))
            data = load(file, classes=chosen)
            file, count = data.file, FOLDS if fold_count is None else fold_count
            by = f"{spec.kind}, {count} grouped folds"
            probabilities = left_out_by_folds(data, spec, count, seed=seed, jobs=jobs, progress=progress)
        called = Called.beside(file.path.parent, file.content.dataset, file.image_ids)
        random = file.spec.weights.startswith("random:")
        y, groups, names = file.labels, file.groups, file.classes
        return _judged(called, y, probabilities, groups, names, seed, by=by, random=random)


def _is_file(given: PathLike) -> bool:
    path = as_path(given, "a feature file or a run")
    return path.suffix == ".h5" or path.is_file()


def _by_run(run: Run, features: PathLike, seed: int) -> LabelDoubts:
    """Judge the images that tested a run, those that tested it several times by the mean of what it said."""
    told = run.predictions()
    tested = np.array([row for row, part in enumerate(told.parts) if part != "validation"], dtype=np.intp)
    ids = [told.image_ids[row] for row in tested.tolist()]
    _, first, place = np.unique(ids, return_index=True, return_inverse=True)
    rows = tested[first]
    probabilities = np.zeros((len(rows), len(told.classes)))
    np.add.at(probabilities, place, told.probabilities[tested])
    probabilities /= probabilities.sum(1, keepdims=True)
    groups = number_groups([told.groups[row] for row in rows], [told.contents[row] for row in rows])
    document = run.document
    by = f"{document.head} of {run.name}"
    notes: tuple[str, ...] = ()
    if document.folds is None:
        others = len(run.split().parts) - len(rows)
        notes = (
            f"Only the {len(rows)} test images of {run.name} are judged, not the {others} others. A run with "
            "`fold_count=5`, or the feature file itself, judges all.",
        )
    called = Called.beside(as_path(features), document.dataset, [told.image_ids[row] for row in rows])
    return _judged(
        called, told.labels[rows], probabilities, groups, told.classes, seed,
        by=by, random=document.random_weights, run=run, notes=notes,
    )  # fmt: skip


def _one(specs: list[HeadSpec]) -> HeadSpec:
    if len(specs) != 1:
        raise UsageError(f"Labels are judged by one head, and {len(specs)} were named. Name one.")
    return specs[0]


def _judged(
    called: Called,
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    classes: tuple[str, ...],
    seed: int,
    *,
    by: str,
    random: bool,
    run: Run | None = None,
    notes: tuple[str, ...] = (),
) -> LabelDoubts:
    found = doubt_labels(y, probabilities, groups, classes, seed=seed)
    return LabelDoubts(
        judged=tuple(
            JudgedLabel(
                image=called.names[row],
                image_id=called.ids[row],
                label=classes[y[row]],
                suggested=classes[found.suggested[row]],
                score=float(found.score[row]),
            )
            for row in found.order.tolist()
        ),
        expected_wrong=found.expected_wrong,
        expected_wrong_ci=found.expected_wrong_ci,
        joint={
            label: dict(zip(classes, row, strict=True))
            for label, row in zip(classes, found.joint.tolist(), strict=True)
        },
        by=by,
        random=random,
        run=run,
        notes=notes,
    )

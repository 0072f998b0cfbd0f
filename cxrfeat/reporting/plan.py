"""What a reproduction would do, and how long that would take, said before anything is computed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import UsageError
from cxrfeat.finetuning.cost import Cost
from cxrfeat.finetuning.recipe import PAPER
from cxrfeat.image.index import check_per_class, index_folder, require_classes
from cxrfeat.image.row import Selection
from cxrfeat.image.split import own_way
from cxrfeat.reporting.paper import CLASSES, PER_CLASS, SIZE, Row, find_rows
from cxrfeat.spec import HeadSpec, NamedWeights, Normalize, PaperSplit
from cxrfeat.system.given import PathLike, one_or_many
from cxrfeat.types import Progress, named

Protocol = Literal["paper", "proper"]
"""How a row is done: the paper's way, or as it should have been done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a reproduction; with equal options a reproduction finds existing runs."""

    rows: tuple[str, ...] = ()
    """Names of rows; empty means all."""
    classes: tuple[str, ...] = ()
    """These classes only; empty means all."""
    per_class: int | None = None
    """Images of each class; `None` is the paper's 1200, or as many as every class has."""
    limit: int | None = None
    """At most this many of each class, for a trial run."""
    epochs: int = 20
    split: PaperSplit | None = None
    """`group`, or the paper's own `paper`, which separates images of one patient; `None` is the data's own split, if it
    gives any image a part, else `group`."""
    views: int = 8
    """Cached views per image, of which the paper's way draws one per epoch."""
    weights: NamedWeights = "imagenet"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what no other description checks, and let one row or class stand where many can."""
        object.__setattr__(self, "rows", tuple(one_or_many(self.rows)))
        object.__setattr__(self, "classes", tuple(one_or_many(self.classes)))
        if self.split not in (None, *get_args(PaperSplit)):
            raise UsageError(f"`split` is group, or paper (the paper's own, which leaks); got {self.split!r}.")
        if self.weights not in get_args(NamedWeights):
            raise UsageError(f"`weights` is {' or '.join(get_args(NamedWeights))}; got {self.weights!r}.")


@dataclass(frozen=True, slots=True)
class Extraction:
    """Features that rows share."""

    backbone: str
    normalize: Normalize
    size: int
    views: int


@dataclass(frozen=True, slots=True)
class Step:
    """One run that is to be made."""

    row: Row
    protocol: Protocol
    extraction: Extraction

    @property
    def head(self) -> HeadSpec:
        """The head, and how it is trained; epochs and seed are the caller's. The paper standardised nothing."""
        paper = self.protocol == "paper"
        return HeadSpec(
            kind=self.row.head, views_per_epoch=1 if paper and self.row.augmented else None, standardize=not paper
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a reproduction does, before anything is computed."""

    options: Options
    selection: Selection
    counts: dict[str, int]
    """Images of each class that are taken."""
    steps: tuple[Step, ...]
    comparable: bool
    """Whether the data, and all else, are the paper's own, so that its figures can be held against ours."""
    notes: tuple[str, ...]

    @property
    def extractions(self) -> list[Extraction]:
        """Each once."""
        return list(dict.fromkeys(step.extraction for step in self.steps))

    @property
    def networks(self) -> list[tuple[str, int, bool]]:
        """Each backbone and size that is run, and whether it is trained too."""
        trained = {(step.row.backbone, SIZE) for step in self.steps if step.row.tuned}
        run = dict.fromkeys((one.backbone, one.size) for one in self.extractions)
        return [(*one, one in trained) for one in run]

    @property
    def images(self) -> int:
        """How many are taken."""
        return sum(self.counts.values())


def plan(data: PathLike, options: Options, progress: Progress | None = None, reading: Selection | None = None) -> Plan:
    """Say what a reproduction would do.

    Args:
        data: Folder of images (see `index`).
        options: What is asked for.
        progress: Called as the work proceeds.
        reading: How the folder is read: its `follow_links` and its `strict`.

    Raises:
        UsageError: If there is no such row.
        InputError: If the data cannot be used.
    """
    rows = find_rows(options.rows)
    base = replace(reading or Selection(), classes=options.classes, seed=options.seed)
    found = index_folder(data, base, progress=named(progress, "reading files"))
    require_classes(found)
    there = Counter(row.label for row in found.rows)
    given = [row.split for row in found.rows]
    by = own_way(options.split, given)
    notes = []
    per_class = options.per_class
    if per_class is None and options.limit is None:
        per_class = min(PER_CLASS, *there.values())
        if per_class < PER_CLASS:
            notes.append(
                f"{per_class} images of each class are taken, as many as every class has; the paper took 1200."
            )
    if per_class is not None:
        check_per_class(there, per_class)
    selection = replace(base, per_class=per_class, limit=options.limit)
    taken = min(value for value in (per_class, options.limit) if value is not None)
    counts = {name: min(count, taken) for name, count in sorted(there.items())}
    comparable = (
        {name.lower(): count for name, count in there.items()} == CLASSES
        and taken == PER_CLASS
        and options.epochs == PAPER.head.epochs
        and options.weights == "imagenet"
        and options.views > 1  # the paper drew a view for each image and epoch
    )
    if not comparable:
        notes.append("These are not the paper's own data and settings, so its figures are not comparable with ours.")
    elif by == "group":
        notes.append(
            "The paper split images one by one, ours keeps patients together: its figures may look better than ours "
            "for that reason."
        )
    if by == "column":
        notes.append("The data's own split is kept: another split than the paper's, so its figures may differ.")
    elif own_way(None, given) == "column":
        notes.append(f"The data's own split is not used, since {by} was asked for.")
    if by == "paper":
        notes.append("The split is the paper's, image by image: it leaks, since a patient's images are on both sides.")
    return Plan(
        options=options,
        selection=selection,
        counts=counts,
        steps=tuple(step for row in rows for step in _steps(row, options)),
        comparable=comparable,
        notes=tuple(notes),
    )


def _steps(row: Row, options: Options) -> list[Step]:
    views = options.views if row.augmented else 1
    if row.backbone == SCRATCH:
        views = 1  # nothing but its labels, groups and pixels' statistics is ever used
    steps = [Step(row, "paper", Extraction(row.backbone, row.normalize, SIZE, views))]
    if not row.tuned:
        native = TABLE[row.backbone].size
        steps.append(Step(row, "proper", Extraction(row.backbone, "backbone", native, options.views)))
    return steps


def estimate(planned: Plan, costs: dict[tuple[str, int], Cost]) -> list[dict[str, Any]]:
    """What each extraction and each training of a network takes on this machine; heads, of seconds each, are left out.

    Args:
        planned: The plan.
        costs: For each backbone and size what it costs.

    Returns:
        Rows of `what`, `backbone`, `size`, `images` (passes of one image through the network) and `seconds`.
    """
    rows: list[dict[str, Any]] = []
    for one in planned.extractions:
        passes = planned.images * one.views
        seconds = passes / costs[one.backbone, one.size].forward
        what = f"extract, {one.normalize}, {one.views} {'view' if one.views == 1 else 'views'}"
        rows.append({"what": what, "backbone": one.backbone, "size": one.size, "images": passes, "seconds": seconds})
    for step in planned.steps:
        if not step.row.tuned:
            continue
        cost = costs[step.row.backbone, SIZE]
        assert cost.training is not None  # it was measured for every row that is tuned
        trained = round(planned.images * 0.72) * planned.options.epochs
        looked = round(planned.images * 0.08) * (planned.options.epochs + 1) + planned.images
        rows.append(
            {
                "what": f"train {step.row.name}, {planned.options.epochs} epochs",
                "backbone": step.row.backbone,
                "size": SIZE,
                "images": trained + looked,
                "seconds": trained / cost.training + looked / cost.forward,
            }
        )
    return rows

"""The recipe of the reproduction: the paper's rows done its way, and each frozen one as it should have been done."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import DivergedError, InputError, UsageError
from cxrfeat.finetuning.recipe import PAPER
from cxrfeat.finetuning.start import cold_head
from cxrfeat.finetuning.trainable import Trainable
from cxrfeat.image.index import check_per_class, index_folder, require_classes
from cxrfeat.image.row import Quarantined, Selection
from cxrfeat.image.split import own_way
from cxrfeat.reporting.paper import CLASSES, PER_CLASS, SIZE, Row, find_rows
from cxrfeat.run.folder import Run
from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, Normalize, SplitBy, SplitSpec, ViewSpec
from cxrfeat.system.files import check_writable, write_atomic
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.types import Finding, Progress, Status, named
from cxrfeat.workflow.compare import training_columns
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.finetune import finetune
from cxrfeat.workflow.fit_head import fit, run_summary, with_tested

Protocol = Literal["paper", "proper"]
"""How a row is done: the paper's way, or as it should have been done."""

OPTIONS = "reproduction.json"
"""In the folder of the runs: what the last reproduction there was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a reproduction is asked for; equal ones find each other's runs."""

    rows: tuple[str, ...] = ()
    """Names of rows; none is all."""
    classes: tuple[str, ...] = ()
    """These classes only; none is all."""
    per_class: int | None = None
    """Images of each class; `None` is the paper's 1200, or as many as every class has."""
    limit: int | None = None
    """At most so many of each class: for a trial."""
    epochs: int = 20
    split: SplitBy | None = None
    """`group`, or the paper's own `paper`, which parts images of one patient; `None` is the data's own split, if it
    gives any image a part, else `group`."""
    views: int = 8
    """Cached views per image, of which the paper's way draws one per epoch."""
    weights: str = "imagenet"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what no other description checks, and let one row or class stand where many can."""
        object.__setattr__(self, "rows", tuple(one_or_many(self.rows)))
        object.__setattr__(self, "classes", tuple(one_or_many(self.classes)))
        if self.split not in (None, "group", "paper"):
            raise UsageError(f"`split` is group, or paper (the paper's own, which leaks); got {self.split!r}.")
        if self.weights not in ("imagenet", "random"):
            raise UsageError(f"`weights` is imagenet or random; got {self.weights!r}.")


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
    def images(self) -> int:
        """How many are taken."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one network costs on this machine, in images per second, measured."""

    forward: float
    training: float | None
    """`None` where nothing trains it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Every run that was made, beside the paper's row."""

    plan: Plan
    made: tuple[tuple[Step, Run], ...]
    audit: tuple[Finding, ...] = field(default=())
    failed: tuple[tuple[Step, str], ...] = ()
    """Heads that could not be trained, and why."""
    quarantined: tuple[Quarantined, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `reproduce`."""
        return {
            "comparable": self.plan.comparable,
            "images": self.plan.counts,
            "notes": list(self.plan.notes),
            "runs": [
                {
                    "row": step.row.name,
                    "protocol": step.protocol,
                    **run_summary(run),
                    "training": training_columns(run),
                    "history": run.history(),
                    "paper": _paper(step.row),
                    "paper_inside": self._inside(step, run),
                    "diverged": run.info.get("diverged"),
                }
                for step, run in self.made
            ],
            "failed": [{"row": step.row.name, "protocol": step.protocol, "why": why} for step, why in self.failed],
            "quarantined": [asdict(one) for one in self.quarantined],
            "audit": [asdict(one) for one in self.audit],
        }

    def _inside(self, step: Step, run: Run) -> bool | None:
        """Whether the paper's accuracy lies in our interval; `None` where they cannot be compared or we have none."""
        interval = run.info["test"]["accuracy_ci"]
        if not self.plan.comparable or step.protocol != "paper" or interval is None:
            return None
        low, high = interval
        return bool(low <= step.row.test_accuracy <= high)


def plan(data: PathLike, options: Options, progress: Progress | None = None, reading: Selection | None = None) -> Plan:
    """Say what a reproduction would do.

    Args:
        data: Folder of images (see `index`).
        options: What is asked for.
        progress: Told on the way.
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
            "The paper parted images one by one, ours keeps patients together: its figures may flatter beside it."
        )
    if by == "column":
        notes.append("The data's own split is kept: another split than the paper's, whose figures may differ for that.")
    elif own_way(None, given) == "column":
        notes.append(f"The data's own split is not used, since {by} was asked for.")
    if by == "paper":
        notes.append(
            "The split is the paper's, image by image: it leaks, since a patient's images stand on both sides."
        )
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


def reproduce(
    data: PathLike,
    options: Options | None = None,
    *,
    resume: bool = False,
    reading: Selection | None = None,
    features: PathLike = "features",
    runs: PathLike = "runs",
    make_engine: EngineFactory | None = None,
    tell: Callable[[Step, Run], None] | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Do the paper's rows again, each with its own protocol, and each frozen one as it should have been done.

    What stands already is taken as it is, so a reproduction that was interrupted goes on where it was.

    Args:
        data: Folder of images (see `index`).
        options: What is asked for; `None` is everything.
        resume: Take the options of the last reproduction in this folder of runs instead.
        reading: How the folder is read: its `follow_links` and its `strict`.
        features: Folder for the feature files.
        runs: Folder for the runs.
        make_engine: Loads a network for the frozen rows.
        tell: Told after each run.
        progress: Told on the way.

    Raises:
        UsageError: If there is no such row, or both options and a resume are asked for.
        InputError: If the data cannot be used, or there is nothing to resume.
        SplitError: If the images cannot be split.
        StorageError: If the disk refuses.
    """
    data, runs, features = as_path(data, "the data folder"), as_path(runs), as_path(features)
    check_writable(runs)
    if resume:
        if options is not None:
            raise UsageError("`resume` takes the options of the reproduction that was begun: leave the others away.")
        options = _begun(runs)
    options = options or Options()
    planned = plan(data, options, progress, reading)
    write_atomic(runs / OPTIONS, json.dumps(asdict(options), indent=1).encode())
    places, quarantined = _extract_all(data, planned, features, make_engine, progress)
    made: list[tuple[Step, Run]] = []
    failed: list[tuple[Step, str]] = []
    for step in planned.steps:
        try:
            run = _run(data, planned, step, places[step.extraction], features, runs, progress)
        except DivergedError as error:  # a network that diverges is written; of a head nothing is
            failed.append((step, str(error)))
            continue
        made.append((step, run))
        if tell:
            tell(step, run)
    if not made:
        raise InputError(f"No row could be done: {failed[0][1]}")
    return Reproduction(
        plan=planned,
        made=tuple(made),
        audit=tuple(_audit([run for _, run in made])),
        failed=tuple(failed),
        quarantined=quarantined,
    )


def _begun(runs: Path) -> Options:
    place = runs / OPTIONS
    try:
        stored = json.loads(place.read_bytes())
        return Options(**{**stored, **{name: tuple(stored[name]) for name in ("rows", "classes")}})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"There is no reproduction to resume in {runs} ({place.name}: {error}). Leave `resume` out."
        ) from error


def _extract_all(
    data: Path, planned: Plan, features: Path, make_engine: EngineFactory | None, progress: Progress | None
) -> tuple[dict[Extraction, Path], tuple[Quarantined, ...]]:
    """Make every feature file; networks that read alike are extracted together, each image decoded once."""
    options = planned.options
    together: dict[tuple[Normalize, int, int], list[Extraction]] = {}
    for one in planned.extractions:
        together.setdefault((one.normalize, one.size, one.views), []).append(one)
    places: dict[Extraction, Path] = {}
    bad: dict[str, Quarantined] = {}
    for (normalize, size, views), some in together.items():
        # `scratch` has no weights to choose, and takes any that is asked for as its own random ones.
        made = extract(
            data,
            backbone=[one.backbone for one in some],
            views=views,
            weights=options.weights,
            normalize=normalize,
            size=size,
            seed=options.seed,
            split_spec=SplitSpec(by=options.split, seed=options.seed) if options.split else None,
            selection=planned.selection,
            features=features,
            make_engine=make_engine,
            progress=progress,
        )
        places.update({one: file.path for one, file in zip(some, made.files, strict=True)})
        bad |= {one.path: one for one in made.quarantined}
    return places, tuple(bad[path] for path in sorted(bad))


def _run(
    data: Path, planned: Plan, step: Step, path: Path, features: Path, runs: Path, progress: Progress | None
) -> Run:
    options, row = planned.options, step.row
    head = replace(step.head, epochs=0 if row.trained == "nothing" else options.epochs, seed=options.seed)
    by: SplitBy | None = options.split if step.extraction.normalize != "featurewise" else None  # those are bound
    if not row.tuned:
        return fit(path, [head], split_by=by, seed=options.seed, runs=runs, progress=progress).runs[0]
    spec = replace(PAPER, head=replace(PAPER.head, kind=head.kind, epochs=options.epochs))
    return finetune(
        data, spec=spec, warm=None, cache=path, selection=planned.selection, seed=options.seed, features=features,
        runs=runs, progress=progress,
    ).runs[0]  # fmt: skip


def _audit(runs: Sequence[Run]) -> list[Finding]:
    """What the checks of all runs say, each once, those of their own tests for the worst run; failed ones first."""
    found: dict[tuple[str, str], Finding] = {}
    for run in runs:
        for one in run.info["audit"]:
            values = {**one, "status": Status(one["status"]), "images": tuple(one["images"])}
            found.setdefault((one["check"], one["why"]), Finding(**values))
    return list(with_tested(found.values(), runs))


def _paper(row: Row) -> dict[str, Any]:
    values = asdict(row)
    return {key: values[key] for key in values if key not in ("name",)}


def measure(planned: Plan, seconds: float = 1.0, progress: Progress | None = None) -> dict[tuple[str, int], Cost]:
    """Run each network of a plan for about a second, with random weights.

    Args:
        planned: The plan.
        seconds: For each network, and again for its training.
        progress: Told on the way.

    Returns:
        Images per second by network and size.
    """
    tuned = {step.row.backbone for step in planned.steps if step.row.tuned}
    wanted = list(dict.fromkeys((one.backbone, one.size) for one in planned.extractions))
    found = {}
    for number, (backbone, size) in enumerate(wanted):
        if progress:
            progress(f"measuring {backbone}", number, len(wanted))
        found[backbone, size] = _measure(backbone, size, seconds, training=backbone in tuned and size == SIZE)
    return found


def _measure(backbone: str, size: int, seconds: float, *, training: bool) -> Cost:
    network = find_network(backbone, weights="random", size=size)
    spec = FeatureSpec(
        backbone=network.backbone, weights=network.weights, preprocess=network.preprocess, view=ViewSpec(size=size)
    )
    batch = 8  # a larger one is hardly faster on a CPU
    protocol = FinetuneSpec(head=HeadSpec(kind="dropout", batch=batch), batchnorm="trained")
    classes = ("A", "B", "C")
    trainable = Trainable(network, spec, protocol, lambda dim: cold_head(protocol.head, dim, classes))
    views = np.zeros((batch, size, size), np.uint8)
    targets, ones = np.eye(3, dtype=np.float32)[np.zeros(batch, int)], np.ones(batch, np.float32)
    forward = _rate(lambda: trainable.features(views), batch, seconds)
    rate = _rate(lambda: trainable.learn(views, targets, ones, 0.0), batch, seconds) if training else None
    return Cost(forward=forward, training=rate)


def _rate(work: Callable[[], object], images: int, seconds: float) -> float:
    work()  # the first call builds the graph
    start, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start < seconds:
        work()
        done += images
    return done / (time.perf_counter() - start)


def estimate(planned: Plan, costs: dict[tuple[str, int], Cost]) -> list[dict[str, Any]]:
    """What each extraction and each training of a network takes on this machine; heads, of seconds each, are left out.

    Args:
        planned: The plan.
        costs: From `measure`.

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

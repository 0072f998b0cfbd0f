"""The recipe of the reproduction: the paper's rows done its way, and each frozen one as it should have been done."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.bar import with_bar
from cxrfeat.errors import DivergedError, InputError, UsageError
from cxrfeat.finetuning.cost import measure_network
from cxrfeat.finetuning.recipe import PAPER
from cxrfeat.head.record import run_summary
from cxrfeat.image.row import Quarantined, Selection
from cxrfeat.notebook import brief
from cxrfeat.reporting.audit import audit_table
from cxrfeat.reporting.comparison import training_columns
from cxrfeat.reporting.paper import Row
from cxrfeat.reporting.plan import Extraction, Options, Plan, Step, estimate, plan
from cxrfeat.reporting.reproduction import reproduction_table
from cxrfeat.reporting.summary import with_tested
from cxrfeat.reporting.table import tables_html
from cxrfeat.run.folder import Run
from cxrfeat.spec import Normalize, SplitBy, SplitSpec
from cxrfeat.system.files import check_writable, write_atomic
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Finding, Progress
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.finetune import finetune
from cxrfeat.workflow.fit_head import fit

OPTIONS = "reproduction.json"
"""In the folder of the runs: what the last reproduction there was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Every run that was made, next to the paper's row."""

    plan: Plan
    made: tuple[tuple[Step, Run], ...]
    audit: tuple[Finding, ...] = field(default=())
    failed: tuple[tuple[Step, str], ...] = ()
    """Heads that could not be trained, and why."""
    quarantined: tuple[Quarantined, ...] = ()

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that did not pass, then our rows next to the paper's."""
        told = self.to_dict()
        return tables_html(audit_table(told["audit"]), reproduction_table(told) if self.made else None)

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
                    "history": run.history().to_dict(),
                    "paper": _paper(step.row),
                    "paper_inside": self._inside(step, run),
                    "diverged": run.document.diverged,
                }
                for step, run in self.made
            ],
            "failed": [{"row": step.row.name, "protocol": step.protocol, "why": why} for step, why in self.failed],
            "quarantined": [asdict(one) for one in self.quarantined],
            "audit": [asdict(one) for one in self.audit],
        }

    def _inside(self, step: Step, run: Run) -> bool | None:
        """Whether the paper's accuracy lies in our interval; `None` where they cannot be compared or we have none."""
        interval = run.document.test.accuracy_ci
        if not self.plan.comparable or step.protocol != "paper" or interval is None:
            return None
        low, high = interval
        return bool(low <= step.row.test_accuracy <= high)


@with_bar("images")
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
    """Repeat the paper's rows, each with its own protocol, and each frozen one as it should have been done.

    What already exists is kept, so an interrupted reproduction continues where it stopped.

    Args:
        data: Folder of images (see `index`).
        options: What is asked for; `None` is everything.
        resume: Continue with the options of the last reproduction in this folder of runs.
        reading: How the folder is read: its `follow_links` and its `strict`.
        features: Folder for the feature files.
        runs: Folder for the runs.
        make_engine: Loads a network for the frozen rows.
        tell: Called after each run.
        progress: Called as the work proceeds.

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
            raise UsageError("`resume` takes the options of the reproduction that it continues: omit the others.")
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
        raise InputError(f"No row could be reproduced: {failed[0][1]}")
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
            f"There is no reproduction to resume in {runs} ({place.name}: {error}). Omit `resume`."
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
        for one in run.document.audit:
            found.setdefault((one.check, one.why), one)
    return list(with_tested(found.values(), runs))


def _paper(row: Row) -> dict[str, Any]:
    values = asdict(row)
    return {key: values[key] for key in values if key not in ("name",)}


def rehearse(
    data: PathLike, options: Options, *, reading: Selection | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Say what a reproduction would do, and how long it would take here, and do nothing.

    Args:
        data: Folder of images (see `index`).
        options: What is asked for.
        reading: How the folder is read: its `follow_links` and its `strict`.
        progress: Called as the work proceeds.

    Returns:
        The JSON document of a dry run.

    Raises:
        UsageError: If there is no such row.
        InputError: If the data cannot be used.
    """
    planned = plan(data, options, progress, reading)
    costs = {}
    for number, (backbone, size, training) in enumerate(planned.networks):
        if progress:
            progress(f"measuring {backbone}", number, len(planned.networks))
        costs[backbone, size] = measure_network(backbone, size, training=training)
    parts = estimate(planned, costs)
    return {
        "images": planned.counts,
        "comparable": planned.comparable,
        "notes": list(planned.notes),
        "parts": parts,
        "rows": [{"row": step.row.name, "protocol": step.protocol} for step in planned.steps],
        "seconds": sum(part["seconds"] for part in parts),
    }

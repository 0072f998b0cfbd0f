"""A number predicted of images: regressions on cached features, tested on images that they have not seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from cxrfeat.auditing.short import plain_checks
from cxrfeat.bar import with_bar
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.choose import HeadLike
from cxrfeat.head.number_data import load_number
from cxrfeat.head.number_fit import fit_to_number, number_specs
from cxrfeat.head.target_record import existing_target_run, target_summaries
from cxrfeat.notebook import brief
from cxrfeat.run.folder import TargetRun, check_name
from cxrfeat.spec import SplitBy
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.types import Finding, Progress, named


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """Runs of one call that predict a number, or all findings, and what the audit says of them."""

    runs: tuple[TargetRun, ...]
    """One for each head, in order."""
    reused: tuple[bool, ...]
    """For each run, whether it already existed."""
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: of each run the checks that it failed, then its scores."""
        return "".join(run._repr_html_() for run in self.runs)

    @property
    def refused(self) -> list[Finding]:
        """As in `FitResult`."""
        return [finding for finding in self.audit if finding.refused]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head`: of each run the number, or each finding in turn."""
        told = [
            {**one, "reused": reused}
            for run, reused in zip(self.runs, self.reused, strict=True)
            for one in target_summaries(run)
        ]
        return {
            "runs": told, "audit": [asdict(finding) for finding in self.audit], "best": None, "unfitted": [],
            "curves": [], "notes": list(self.notes),
        }  # fmt: skip


@with_bar("epochs")
def fit_number(
    features: PathLike,
    target: str,
    heads: HeadLike | Iterable[HeadLike] = "ridge",
    *,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    exclude: PathLike | None = None,
    seed: int = 0,
    runs: PathLike = "runs",
    name: str | None = None,
    progress: Progress | None = None,
) -> TargetResult:
    """Fit regressions of a number, test them, and keep the runs.

    Args:
        features: A feature file, or one that is open.
        target: `age`, or a column of numbers that the file keeps. Images for which it is unknown are left out.
        heads: What to train, one or many: `ridge`, or a network, `dense` or `dropout`, by the squared error. What their
            descriptions say about classes does not matter.
        split_by: As in `fit`. The split is that of all images.
        regroup_given: As in `fit`.
        exclude: As in `fit`.
        seed: Seed of the split, the intervals, and heads that are given only by name.
        runs: Folder for the runs.
        name: The run's name; only with one head.
        progress: Called after every epoch of a network.

    Returns:
        One run for each head, in order. One that already exists, made the same way, is not made again.

    Raises:
        UsageError: If there is no such target, or a head cannot predict a number.
        InputError: If it is not a number, not known for enough images, or the name is taken by another run.
        SplitError: If the images cannot be split as asked.
        StorageError: If a run cannot be written.
    """
    each: list[HeadLike] = one_or_many(heads)
    specs = number_specs(target, each, seed)
    if name is not None:
        check_name(name, len(specs))
    with FeatureFile(features) as whole:
        data = load_number(whole, target, split_by=split_by, regroup_given=regroup_given, exclude=exclude, seed=seed)
        audit = plain_checks(data.targets.file, data.targets.split)
        check_writable(as_path(runs))
        made, reused = [], []
        for spec in specs:
            identity = data.targets.identity(head=spec)
            place = data.targets.place(runs, name, spec.kind, identity)
            run = existing_target_run(place, identity)
            reused.append(run is not None)
            if run is None:
                fit = fit_to_number(spec, *data.training(data.fold), named(progress, spec.kind))
                # Another process may have made it meanwhile.
                run = existing_target_run(place, identity) or data.write(place, identity, spec.kind, fit, audit, seed)
            made.append(run)
    return TargetResult(runs=tuple(made), reused=tuple(reused), audit=audit, notes=data.notes)

"""The recipe of validation: other data sets through a run's own network, scored beside its own test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cxrfeat.auditing.elsewhere import Outside, shared_classes
from cxrfeat.auditing.outside import judge
from cxrfeat.auditing.outside_target import judge_target, names_elsewhere
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.called import Called
from cxrfeat.feature.column import Cut, read_cut
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import own_features
from cxrfeat.feature.seen import SeenImage, seen_of_run
from cxrfeat.feature.task import Computing
from cxrfeat.finetuning.elsewhere import features_elsewhere
from cxrfeat.head.of_run import load_head
from cxrfeat.head.saying import target_saying
from cxrfeat.image.index import index_folder, require_classes
from cxrfeat.image.row import Manifest, Quarantined, Selection
from cxrfeat.notebook import brief
from cxrfeat.reporting.comparison import Tested
from cxrfeat.reporting.subgroup import Subgroups, subgroups_of
from cxrfeat.reporting.target_validation import target_forest_table
from cxrfeat.reporting.validation import forest_table
from cxrfeat.run.folder import AnyRun, AnyRunLike, Run, TargetRun, find_any_run
from cxrfeat.run.record import to_json
from cxrfeat.run.validation_file import AnyValidation, write_validation
from cxrfeat.system.given import PathLike, as_path, as_paths, nearest, one_or_many
from cxrfeat.types import Progress, named

USUAL_CUTS = ("sex", "age:40:65", "view_position")
"""What images are cut by where the data say so and nothing is asked for."""

OfSeen = Literal["leave-out", "refuse"]
"""What becomes of images that the run has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """Scores of a run on one data set."""

    data: str
    """The folder, as it was given."""
    document: AnyValidation
    path: Path
    """Where it is kept, in the run's folder."""
    features: Extracted
    seen: tuple[dict[str, str], ...]
    """Images left out: `image` (its path, or id), `image_id`, `how`, `part`."""
    quarantined: tuple[Quarantined, ...]
    total: int
    """Images in the folder, those that could not be used among them."""

    __repr__ = brief

    def to_dict(self, run: AnyRun) -> dict[str, Any]:
        """The JSON document of `validate` with one data set."""
        return {
            "run": run.name,
            "data": self.data,
            **to_json(self.document),
            "seen": list(self.seen),
            "document": str(self.path),
            "features_file": str(self.features.path),
            "rows_computed": self.features.rows_computed,
            "rows_reused": self.features.rows_reused,
            "quarantined": [to_json(one) for one in self.quarantined],
            "failed_checks": to_json(run.failed_checks),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Validations:
    """Scores of a run on other data sets, in the order given."""

    run: AnyRun
    validated: tuple[Validated, ...]

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores at home and elsewhere."""
        forest = target_forest_table if isinstance(self.run, TargetRun) else forest_table
        return forest([one.to_dict(self.run) for one in self.validated], self.run.name).to_html()

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `validate`: of several data sets, one under `validations` for each."""
        each = [one.to_dict(self.run) for one in self.validated]
        return each[0] if len(each) == 1 else {"run": self.run.name, "validations": each}


@with_bar("views")
def validate(
    run: AnyRunLike,
    data: PathLike | Iterable[PathLike],
    *,
    renamed: Mapping[str, str] | None = None,
    recalibrate: float | None = None,
    by: str | Iterable[str] | None = None,
    seen: OfSeen = "leave-out",
    other_patients: bool = False,
    network: PathLike | None = None,
    engine: str = "auto",
    selection: Selection | None = None,
    features: PathLike = "features",
    runs: PathLike = "runs",
    seed: int = 0,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> Validations:
    """Test a run on images from another hospital (external validation).

    Features are computed once and kept in the features folder, as by `extract`. What is found is kept in the run's
    folder, and `report` shows it. A run of a number is scored by its errors, one of all findings by each of them.

    Args:
        run: A run of any kind, its name or an unambiguous prefix of it, or its folder.
        data: A folder of images (see `index`), or several.
        renamed: `{class elsewhere: class of the run}`, where names differ. Several may become one. Likewise the name of
            a finding, or the column of a number.
        recalibrate: Share of each data set, by groups, on which to recalibrate the probabilities of classes, judged on
            the rest. `None` does not recalibrate.
        by: What to cut images into subgroups by, as in `compare`; `None` is sex, age and position, where these are
            known. Only of classes.
        seen: What becomes of images that the run has seen, or whose patients it has: `leave-out` or `refuse`.
        other_patients: Equal patient numbers in the two data sets mean different people: each hospital has its own
            numbers.
        network: Where the network's file is now, if it has moved.
        engine: `auto`, `keras`, `openvino` or `onnx`.
        selection: Which images to take, and how the folders are read.
        features: Folder of the feature files.
        runs: Folder in which the run's name is looked for.
        seed: Seed of the intervals, parts and folds.
        make_engine: Loads a network; for tests and other engines.
        progress: Called with what is being done, how much of it is done, and out of how much.

    Raises:
        UsageError: If no data are named, an argument is out of range, or goes with runs of classes only.
        InputError: If there is no such run or folder, classes or findings do not fit, or images were seen and that is
            refused.
        IntegrityError: If the run, or a feature file, is damaged.
        LockedError: If another process is making one of the files.
        StorageError: If the disk refuses.
        WeightsError: If the network is no longer there.
    """
    found = find_any_run(run, runs=runs)
    folders = as_paths(data, "a data folder")
    if not folders:
        raise UsageError("Name at least one folder of images to validate on.")
    if recalibrate is not None and not 0 < recalibrate < 1:
        raise UsageError(
            f"`recalibrate` is a share of the other set, above 0 and below 1, such as 0.3; got {recalibrate}."
        )
    texts: list[str] = [] if by is None else one_or_many(by)
    if isinstance(found, TargetRun):
        for field, value in (("recalibrate", recalibrate), ("by", texts or None)):
            if value is not None:
                told = found.document.target
                raise UsageError(
                    f"`{field}` goes with runs of classes, and {found.name} predicts {told}. Leave it out."
                )
    cuts = None if by is None else [read_cut(one) for one in texts]
    asked = _Asked(
        renamed=dict(renamed or {}),
        share=recalibrate,
        cuts=cuts,
        seen=seen,
        other_patients=other_patients,
        network=network,
        engine=engine,
        selection=selection or Selection(),
        features=as_path(features),
        seed=seed,
        make_engine=make_engine,
        progress=progress,
    )
    # All are read before any goes through the network: a wrong name costs no hour.
    manifests = [index_folder(one, asked.selection, progress=named(progress, "reading files")) for one in folders]
    _check_names(found, manifests, asked.renamed)
    return Validations(
        run=found,
        validated=tuple(
            _validated(found, folder, manifest, asked) for folder, manifest in zip(folders, manifests, strict=True)
        ),
    )


def _check_names(run: AnyRun, manifests: Sequence[Manifest], renamed: Mapping[str, str]) -> None:
    """Refuse data sets that state nothing of what a run tells, and names that none of them has.

    Raises:
        UsageError: If `renamed` names what no data set has.
        InputError: If a data set states nothing of it.
    """
    stated = [_stated(one) if isinstance(run, TargetRun) else list(one.classes) for one in manifests]
    every = {name for names in stated for name in names}
    for one in renamed:
        if one not in every:
            what = "class" if isinstance(run, Run) else "column or finding"
            raise UsageError(
                f"`renamed` names {one!r}, and no data set has such a {what}.{nearest(one, every)} "
                f"There are {', '.join(sorted(every))}."
            )
    for manifest, names in zip(manifests, stated, strict=True):
        if isinstance(run, TargetRun):
            names_elsewhere(run, manifest.dataset, names, renamed)
        else:
            require_classes(manifest)
            shared_classes(run, manifest.dataset, manifest.classes, manifest.labels, renamed)


def _stated(manifest: Manifest) -> list[str]:
    """What the table of a data set states of its images that a run may tell: numbers, and findings."""
    age = ["age"] if any(one is not None for one in manifest.held.coded("age")[1]) else []
    return [*age, *manifest.finding_names, *(one for one in manifest.kept_names if one not in manifest.finding_names)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    renamed: Mapping[str, str]
    share: float | None
    cuts: Sequence[Cut] | None
    seen: OfSeen
    other_patients: bool
    network: PathLike | None
    engine: str
    selection: Selection
    features: Path
    seed: int
    make_engine: EngineFactory | None
    progress: Progress | None


def _validated(run: AnyRun, folder: Path, manifest: Manifest, asked: _Asked) -> Validated:
    made = features_elsewhere(
        run, manifest, asked.features, network=asked.network, progress=asked.progress,
        computing=Computing(asked.engine, asked.make_engine),
    )  # fmt: skip
    with ExitStack() as stack:
        other = stack.enter_context(FeatureFile(made.path))
        own = own_features(run, asked.features)
        if own is not None:
            stack.enter_context(own)
        if asked.progress:
            asked.progress("looking for images seen", 0, 1)
        patients = {} if asked.other_patients else {row.content_sha256: row.patient for row in manifest.rows}
        seen, ways = seen_of_run(run, other, own, asked.features, patients=patients)
        if asked.progress:
            asked.progress("looking for images seen", 1, 1)
        called = Called.beside(asked.features, other.content.dataset, other.image_ids)
        told = tuple(
            {"image": called.names[one.row], "image_id": called.ids[one.row], "how": one.how, "part": one.part}
            for one in seen
        )
        if told and asked.seen == "refuse":
            shown = ", ".join(f"{one['image']} ({one['how']}, {one['part']})" for one in told[:3])
            raise InputError(
                f"{len(told)} of the {other.images} images of {folder} are in the data of {run.name}, or of "
                f"patients in them: {shown}{', ...' if len(told) > 3 else ''}. Remove them, or omit "
                "`seen=refuse`: then they are left out of every figure."
            )
        document = _judged(run, manifest, other, own, seen, ways, asked)
    return Validated(
        data=str(folder),
        document=document,
        path=write_validation(run, document),
        features=made,
        seen=told,
        quarantined=made.quarantined,
        total=made.images + len(made.quarantined),
    )


def _judged(
    run: AnyRun,
    manifest: Manifest,
    other: FeatureFile,
    own: FeatureFile | None,
    seen: Sequence[SeenImage],
    ways: Sequence[str],
    asked: _Asked,
) -> AnyValidation:
    if isinstance(run, TargetRun):
        theirs = names_elsewhere(run, manifest.dataset, _stated(manifest), asked.renamed)
        return judge_target(
            run, target_saying(run), other, own, theirs=theirs, renamed=asked.renamed, seen=seen, looked_for=ways,
            seed=asked.seed,
        )  # fmt: skip
    head, novelty = load_head(run)
    document, judged = judge(
        run, head, novelty, other, own, renamed=asked.renamed, seen=seen, looked_for=ways, share=asked.share,
        seed=asked.seed,
    )  # fmt: skip
    groups = _in_subgroups(other, judged, asked)
    return replace(document, subgroups=groups.rows, subgroup_gaps=groups.gaps)


def _in_subgroups(other: FeatureFile, judged: Outside, asked: _Asked) -> Subgroups:
    """In the subgroups that were asked for, or in those that the data allow."""
    cuts = asked.cuts
    if cuts is None:
        known = {
            "sex": any(other.texts("sex")),
            "view_position": any(other.texts("view_position")),
            "age": bool((other.content.columns["age"] >= 0).any()),
        }
        cuts = [cut for cut in map(read_cut, USUAL_CUTS) if known[cut.column]]
    rows = judged.rows.tolist()
    test = Tested(
        rows=tuple((other.content_sha256[row], other.image_ids[row]) for row in rows),
        classes=judged.classes,
        y=judged.y,
        groups=judged.groups,
        probabilities=judged.probabilities,
    )
    return subgroups_of([(other.content.dataset, test, other, rows)], cuts, asked.seed)

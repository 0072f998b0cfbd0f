"""The recipe of a report: everything that one page shows of some runs, gathered from them and from what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cxrfeat.bar import with_bar
from cxrfeat.call import PYTHON, Words
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.of_run import data_of
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Manifest, Selection
from cxrfeat.metric.roc import calibration_band, roc_band
from cxrfeat.notebook import brief
from cxrfeat.reporting.again import report_call, run_call
from cxrfeat.reporting.asked import Asked
from cxrfeat.reporting.comparison import different, side_by_side, tested
from cxrfeat.reporting.content import (
    DataContent,
    ReportContent,
    RunContent,
)
from cxrfeat.reporting.feature_map import find_projecting
from cxrfeat.reporting.features import with_features
from cxrfeat.reporting.heat import EXPLAINED, with_heat
from cxrfeat.reporting.naming import Names, names_of
from cxrfeat.reporting.place import USUAL, check_place, usual_place
from cxrfeat.reporting.shrink import below_limit
from cxrfeat.reporting.target_section import target_sections
from cxrfeat.run.folder import AnyRunLike, Run, TargetRun, find_any_runs
from cxrfeat.run.record import to_json
from cxrfeat.run.validation_file import validations_of
from cxrfeat.system.files import write_atomic
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.types import Progress, named
from cxrfeat.workflow.learning_curve import WIDTH, learning_curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The page that was written."""

    path: Path
    content: ReportContent
    size: int
    """In bytes."""
    notes: tuple[str, ...] = ()
    """For the author of the page, and not on it: they may name paths on this machine."""

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `report`."""
        data = [
            {
                "dataset": one.dataset,
                "data_sha256": one.data_sha256,
                "runs": [run.summary["run"] for run in one.runs],
                "heat_maps": sum(len(run.heat.pictures) for run in one.runs if run.heat),
                "feature_maps": [len(shown.words) for shown in one.maps],
                "copies": None if one.copies is None else len(one.copies),
                "failed_checks": [
                    {"run": run.summary["run"], **failed} for run in one.runs for failed in run.summary["failed_checks"]
                ],
                "notes": list(one.notes),
            }
            for one in self.content.data
        ]
        pictured = self.content.pictured
        targets = [{"target": one.target, "runs": list(one.runs)} for one in self.content.targets]
        return {"report": str(self.path), "bytes": self.size, "pictures": pictured, "data": data, "targets": targets}


@with_bar("steps")
def report(
    runs: AnyRunLike | Iterable[AnyRunLike] | None = None,
    *,
    out: PathLike | None = None,
    data: PathLike | None = None,
    features: PathLike = "features",
    images: bool = True,
    redact: bool = False,
    network: PathLike | None = None,
    folder: PathLike = "runs",
    reading: Selection | None = None,
    explained: int = EXPLAINED,
    projection: str = "pca",
    sizes: float | Iterable[float] = (),
    wanted_width: float = WIDTH,
    seed: int = 0,
    title: str | None = None,
    words: Words = PYTHON,
    progress: Progress | None = None,
) -> Report:
    """Write one self-contained page of everything that is known about some runs.

    Args:
        runs: At least one, each a run, its name or an unambiguous prefix of it, or its folder; `None` is every run
            in `folder`. Runs of different data sets are shown separately; those of a number and of all findings follow
            in sections of their own.
        out: The page. `None` is `report.html` here, or the first free `report-2.html`, ... if that is a page of other
            data, or none of cxrfeat.
        data: The folder of the images, for heat maps and names; without it there are none.
        features: Folder of the feature files, for the feature map and copies.
        images: Whether the page may hold pictures of patients.
        redact: Name images by their salted ids instead of paths.
        network: Where the network's file is now, if it has moved.
        folder: Where the runs' names are looked for.
        reading: How the folder of the images is read: its `follow_links` and its `strict`.
        explained: Runs of each data set that get heat maps, the best first.
        projection: How the feature map is laid out: `pca`, `tsne` or `umap`.
        sizes: Shares of the training images, as in `learning_curve`: the best run's head is refitted on them for a
            curve; empty gives no curve.
        wanted_width: As in `learning_curve`.
        seed: Seed of the intervals, and of the choice of images shown.
        title: Title of the page.
        words: How the page says what to do.
        progress: Called as the work proceeds.

    Returns:
        Where the page is, and what it shows. It is smaller than `LIMIT`: pictures are left out until it fits.

    Raises:
        UsageError: If there is no run, or no such projection.
        MissingExtraError: If UMAP is not installed.
        InputError: If `out` has no folder or is one, or `data` are not those of any run.
        IntegrityError: If a run or a feature file is damaged.
        StorageError: If the page cannot be written.
    """
    place = None if out is None else as_path(out, "the page")
    asked = Asked(
        features=as_path(features),
        data=None if data is None else as_path(data, "the data folder"),
        reading=(reading or Selection()).given(),
        network=None if network is None else as_path(network, "the network"),
        images=images,
        redact=redact,
        method=find_projecting(projection),
        explained=explained,
        sizes=tuple(one_or_many(sizes)),
        wanted_width=wanted_width,
        seed=seed,
        words=words,
        progress=progress,
    )
    check_place(place or Path(USUAL))
    every = find_any_runs(runs, runs=folder)
    chosen = different([run for run in every if isinstance(run, Run)])
    others = different([run for run in every if isinstance(run, TargetRun)])
    if not every:
        raise UsageError("A report takes at least one run, and there is none. Make one: `cxrfeat fit-head`.")
    out = place or usual_place({run.document.dataset for run in every})
    aside: list[str] = []
    if place is None and out.name != USUAL:
        aside.append(f"{USUAL} is a page about other data and is kept: this one is {out}.")
    by_data: dict[str, list[Run]] = {}
    for run in chosen:
        by_data.setdefault(data_of(run), []).append(run)
    manifest = _manifest_of(chosen, reading, asked)
    names = names_of(manifest.rows if manifest else (), redact=redact)
    parts = [_of_data(sha, of_data, names, asked) for sha, of_data in by_data.items()]
    if manifest is not None and explained:
        with_heats = [with_heat(part, by_data[part.data_sha256], manifest, asked) for part in parts]
        parts = [part for part, _ in with_heats]
        aside += [line for _, lines in with_heats for line in lines]
    content = ReportContent(
        title=title
        or f"cxrfeat report: {', '.join(dict.fromkeys(run.document.dataset for run in (*chosen, *others)))}",
        data=tuple(parts),
        targets=target_sections(others, seed),
        command=words.call(report_call([*chosen, *others], out, asked)),
        words=words,
        notes=_kept_apart(parts),
    )
    content, page = below_limit(content)
    write_atomic(out, page)
    return Report(path=out, content=content, size=len(page), notes=tuple(aside))


def _kept_apart(parts: Sequence[DataContent]) -> tuple[str, ...]:
    if len(parts) <= 1:
        return ()
    return (
        f"These runs are of {len(parts)} different data sets (other images, or other labels). They are shown "
        "separately: no score of one can be compared with a score of another.",
    )


def _manifest_of(runs: Sequence[Run], reading: Selection | None, asked: Asked) -> Manifest | None:
    """The images of the data folder, if there is one.

    Raises:
        AuditError: If the reading is strict, and something is lost.
        InputError: If no run was tested on any of them.
    """
    if asked.data is None:
        return None
    manifest = index_folder(asked.data, reading or Selection(), progress=named(asked.progress, "images"))
    known = {sha for run in runs for sha, _ in tested(run).rows}
    if known.isdisjoint(row.content_sha256 for row in manifest.rows):
        raise InputError(
            f"{asked.data} is not the data of these runs: it holds none of their {len(known)} test images. Name "
            "the folder that the features were extracted from, or omit `data`."
        )
    return manifest


def _of_data(sha: str, runs: Sequence[Run], names: Names, asked: Asked) -> DataContent:
    """All but the heat maps of the runs of one data set."""
    compared = side_by_side(runs, asked.seed)
    document = compared.to_dict()
    contents = []
    for place, (run, summary) in enumerate(zip(compared.runs, document["runs"], strict=True)):
        contents.append(_of_run(run, summary, asked))
        if asked.progress:
            asked.progress("curves", place + 1, len(runs))
    content = DataContent(
        dataset=compared.runs[0].document.dataset, data_sha256=sha, comparison=document, runs=tuple(contents)
    )
    return with_features(_with_curve(content, compared.runs[0], asked), compared.runs, names, asked)


def _with_curve(content: DataContent, run: Run, asked: Asked) -> DataContent:
    """The learning curve of a run, where it is asked for and its head can be fitted on fewer images."""
    if not asked.sizes:
        return content
    document, split = run.document, run.document.split
    head, file = document.identity.head, asked.features / str(document.features.file)
    plain = split.repeats == 1 and not split.regroup and not document.tta and not document.excluded
    plain &= split.by != "source-out"
    if head is None or not plain or not file.is_file():
        why = f"No learning curve: {document.head} was not fitted by fit-head on one test part or on folds."
        return replace(content, notes=(*content.notes, why))
    (curve,) = learning_curve(
        file,
        head,
        sizes=asked.sizes,
        wanted_width=asked.wanted_width,
        split_by=None if split.by == "bound" or split.by == "folds" or split.by == "source-out" else split.by,
        fold_count=split.folds or None,
        seed=split.seed,
        classes=document.identity.classes,
        balance_by=document.identity.balance_by,
        target=document.identity.target,
        uncertain=document.identity.uncertain,
        progress=asked.progress,
    )
    return replace(content, curve=curve.to_dict())


def _of_run(run: Run, summary: Mapping[str, Any], asked: Asked) -> RunContent:
    test, again = tested(run), run_call(run)
    return RunContent(
        summary=summary,
        document=run.document,
        history=run.history(),
        roc={
            name: roc_band(test.y == index, test.probabilities[:, index], test.groups, seed=asked.seed)
            for index, name in enumerate(test.classes)
        },
        calibration=calibration_band(test.y, test.probabilities, test.groups, seed=asked.seed),
        command=None if again is None else asked.words.call(again),
        validations=tuple(to_json(one) for one in validations_of(run)),
    )

"""The recipe of a report: everything that one page shows of some runs, gathered from them and from what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, MissingExtraError, UsageError, WeightsError
from cxrfeat.explaining.explained import Explained
from cxrfeat.explaining.explainer import NAMES
from cxrfeat.explaining.images import CHECKED
from cxrfeat.explaining.job import Question
from cxrfeat.explaining.projection import Projecting
from cxrfeat.explaining.ready import pixels_of
from cxrfeat.explaining.together import explain_together
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Manifest, Selection
from cxrfeat.metric.roc import calibration_band, roc_band
from cxrfeat.reporting.command import report_command, run_command
from cxrfeat.reporting.content import (
    DataContent,
    Heat,
    HeatPicture,
    MeanHeat,
    ReportContent,
    RunContent,
)
from cxrfeat.reporting.copies import copies_in
from cxrfeat.reporting.feature_map import feature_map, find_projecting, mapped
from cxrfeat.reporting.inventory import counts_table
from cxrfeat.reporting.naming import Names, names_in, names_of, parts_of
from cxrfeat.reporting.picture import Pixels, jpeg_address, overlay, reduced
from cxrfeat.reporting.place import USUAL, check_place, usual_place
from cxrfeat.reporting.shrink import below_limit
from cxrfeat.reporting.tiles import TileSheet
from cxrfeat.run.folder import Run, RunLike, find_runs
from cxrfeat.system.files import write_atomic
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Progress, named
from cxrfeat.workflow.compare import different, side_by_side, tested
from cxrfeat.workflow.fit_head import as_fitted

EXPLAINED, SHOWN = 3, 8
"""Runs of one data set that heat maps are made for, the best first, and test images of each."""

SIDE = 400
"""Height and width of a picture under its heat, at most, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A page that has been written."""

    path: Path
    content: ReportContent
    size: int
    """In bytes."""
    notes: tuple[str, ...] = ()
    """For whoever makes the page, and not on it: they may name places of this machine."""

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
        return {"report": str(self.path), "bytes": self.size, "pictures": pictured, "data": data}


def report(
    runs: RunLike | Iterable[RunLike] | None = None,
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
    seed: int = 0,
    title: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write one self-contained page of everything that is known of some runs.

    Args:
        runs: At least one, each a run, its name or an unambiguous beginning of it, or its folder; `None` is every run
            in `folder`. Runs of different data sets are kept apart.
        out: The page. `None` is `report.html` here, or the first of `report-2.html`, ... where that is a page of other
            data, or none of cxrfeat.
        data: The folder of the images, for heat maps and names; without it there are none.
        features: Folder of the feature files, for the feature map and copies.
        images: Whether the page may hold pictures of patients.
        redact: Name images by their salted ids in place of paths.
        network: Where the network's file is, if it is no longer where it was.
        folder: Where the runs' names are looked for.
        reading: How the folder of the images is read: its `follow_links` and its `strict`.
        explained: Runs of each data set that get heat maps, the best first.
        projection: How the feature map is laid out: `pca`, `tsne` or `umap`.
        seed: Of intervals, and of which images are shown.
        title: Of the page.
        progress: Told on the way.

    Returns:
        Where the page is, and what it shows. It is smaller than `LIMIT`: pictures are left out until it fits.

    Raises:
        UsageError: If there is no run, or no such projection.
        MissingExtraError: If UMAP is not installed.
        InputError: If `out` has no folder or is one, or `data` are not those of any run.
        IntegrityError: If a run or a feature file is damaged.
        StorageError: If the page cannot be written.
    """
    place, features = None if out is None else as_path(out, "the page"), as_path(features)
    data = None if data is None else as_path(data, "the data folder")
    network = None if network is None else as_path(network, "the network")
    check_place(place or Path(USUAL))
    method = find_projecting(projection)
    chosen = different(find_runs(runs, runs=folder))
    if not chosen:
        raise UsageError("A report is of at least one run, and there is none. Make one: `cxrfeat fit-head`.")
    aside: list[str] = []
    out = place or usual_place({str(run.info.get("dataset")) for run in chosen})
    if place is None and out.name != USUAL:
        aside.append(f"{USUAL} is no page of these data: this one is {out}, and nothing is replaced.")
    by_data: dict[str, list[Run]] = {}
    for run in chosen:
        by_data.setdefault(_data_of(run), []).append(run)
    manifest = _manifest_of(data, chosen, reading, progress)
    names = names_of(manifest.rows if manifest else (), redact=redact)
    parts = [
        _of_data(sha, of_data, features, names, method, images=images, seed=seed, progress=progress)
        for sha, of_data in by_data.items()
    ]
    if manifest is not None and explained:
        parts = [
            _with_heat(
                part,
                by_data[part.data_sha256],
                manifest,
                explained,
                network,
                aside,
                images=images,
                redact=redact,
                seed=seed,
                tell=progress,
            )
            for part in parts
        ]
    content = ReportContent(
        title=title or f"cxrfeat report: {', '.join(dict.fromkeys(part.dataset for part in parts))}",
        data=tuple(parts),
        command=report_command(
            chosen,
            out=out,
            features=features,
            network=network,
            pictured=data is not None,
            images=images,
            redact=redact,
            method=method,
            seed=seed,
        ),
        notes=_kept_apart(parts),
    )
    content, page = below_limit(content)
    write_atomic(out, page)
    return Report(path=out, content=content, size=len(page), notes=tuple(aside))


def _data_of(run: Run) -> str:
    try:
        return str(run.info["identity"]["data_sha256"])
    except (KeyError, TypeError) as error:
        raise IntegrityError(
            f"{run.path / 'run.json'} does not say of which data it is. Fit the head again."
        ) from error


def _kept_apart(parts: Sequence[DataContent]) -> tuple[str, ...]:
    if len(parts) == 1:
        return ()
    return (
        f"These runs are of {len(parts)} different data sets (other images, or other labels). They are kept apart: no "
        "score of one can be compared with a score of another.",
    )


def _manifest_of(
    data: Path | None, runs: Sequence[Run], reading: Selection | None, progress: Progress | None
) -> Manifest | None:
    """The images of a folder.

    Raises:
        AuditError: If the reading is strict, and something is lost.
        InputError: If no run was tested on any of them.
    """
    if data is None:
        return None
    manifest = index_folder(data, reading or Selection(), progress=named(progress, "images"))
    known = {sha for run in runs for sha, _ in tested(run).rows}
    if known.isdisjoint(row.content_sha256 for row in manifest.rows):
        raise InputError(
            f"{data} is not the data of these runs: of their {len(known)} test images it holds none. "
            "Name the folder that the features were extracted from, or leave `data` out."
        )
    return manifest


def _of_data(
    sha: str,
    runs: Sequence[Run],
    features: Path,
    names: Names,
    method: Projecting,
    *,
    images: bool,
    seed: int,
    progress: Progress | None,
) -> DataContent:
    """All but the heat maps of the runs of one data set."""
    compared = side_by_side(runs, seed)
    document = compared.to_dict()
    contents = []
    for place, (run, summary) in enumerate(zip(compared.runs, document["runs"], strict=True)):
        contents.append(_of_run(run, summary, seed))
        if progress:
            progress("curves", place + 1, len(runs))
    content = DataContent(
        dataset=str(compared.runs[0].info["dataset"]), data_sha256=sha, comparison=document, runs=tuple(contents)
    )
    with ExitStack() as opened:
        files, notes = _feature_files(compared.runs, features, opened)
        content = replace(content, notes=tuple(notes))
        if not files:
            return content
        return _with_features(content, compared.runs, files, names, method, images=images, seed=seed, progress=progress)


def _with_features(
    content: DataContent,
    runs: Sequence[Run],
    files: Sequence[FeatureFile],
    names: Names,
    method: Projecting,
    *,
    images: bool,
    seed: int,
    progress: Progress | None,
) -> DataContent:
    """The same with what the feature files tell of the images; the first file is that of the best run."""
    first, maps = files[0], []
    sheet, shown = TileSheet(first), mapped(first, seed)
    for file in files:
        best = next(run for run in runs if _fingerprint(run) == file.fingerprint)
        maps.append(feature_map(file, shown, best, sheet, names_in(file, names), method, seed))
        if progress:
            progress("feature maps", len(maps), len(files))
    parts = parts_of(runs[0])
    where = [parts.get(key) for key in first.content_sha256]
    copies = copies_in(first, sheet, names_in(first, names), where)
    many = f"{first.images} images are too many to search for copies here: run `cxrfeat audit`."
    told = {"": where, "source": first.texts("source")}
    return replace(
        content,
        counts=counts_table(first.classes, first.labels.tolist(), first.groups.tolist(), told),
        maps=tuple(maps),
        copies=copies,
        tiles=sheet.tiles() if images else None,
        notes=content.notes if copies is not None else (*content.notes, many),
    )


def _of_run(run: Run, summary: Mapping[str, Any], seed: int) -> RunContent:
    test = tested(run)
    return RunContent(
        summary=summary,
        info=run.info,
        history=run.history(),
        roc={
            name: roc_band(test.y == index, test.probabilities[:, index], test.groups, seed=seed)
            for index, name in enumerate(test.classes)
        },
        calibration=calibration_band(test.y, test.probabilities, test.groups, seed=seed),
        command=run_command(run),
    )


def _fingerprint(run: Run) -> str | None:
    """Of the features that the run's head sees; `None` for a fine-tuned run, whose features nobody keeps."""
    kept = (run.info.get("features") or {}).get("file") is not None
    return str(run.info["identity"].get("features")) if kept else None


def _feature_files(runs: Sequence[Run], folder: Path, opened: ExitStack) -> tuple[list[FeatureFile], list[str]]:
    """The feature files of the runs, that of the best first, and notes of what is missing."""
    found: dict[str, FeatureFile] = {}
    missed: set[str] = set()
    notes: list[str] = []
    for run in runs:
        fingerprint = _fingerprint(run)
        if fingerprint is None or fingerprint in found or fingerprint in missed:
            continue
        name = str(run.info["features"]["file"])
        there = [path for path in (folder / name, *sorted(folder.glob(f"*{fingerprint[:8]}.h5"))) if path.is_file()]
        file = _made_of(there, fingerprint, run)
        if file is not None:
            found[fingerprint] = opened.enter_context(file)
            continue
        missed.add(fingerprint)
        why = f"{name} is not in {folder.name}" if not there else f"{there[0].name} was made again since, of other data"
        notes.append(
            f"No feature map and no search for copies for {run.info['backbone']}: {why}. "
            "Say where it is with --features, or extract the features again."
        )
    if not found and not missed:
        notes.append("No feature map and no search for copies: a network that was fine-tuned keeps no features.")
    return list(found.values()), notes


def _made_of(places: Sequence[Path], fingerprint: str, run: Run) -> FeatureFile | None:
    """The feature file of one network and of a run's data; other data sets have files of the network too."""
    for place in places:
        file = FeatureFile(place)
        fitted = as_fitted(file, run)
        if fitted is not None and (file.fingerprint, fitted.content.data_sha256) == (fingerprint, _data_of(run)):
            return fitted
        file.close()
    return None


def _with_heat(
    content: DataContent,
    runs: Sequence[Run],
    manifest: Manifest,
    most: int,
    network: Path | None,
    aside: list[str],
    *,
    images: bool,
    redact: bool,
    seed: int,
    tell: Progress | None,
) -> DataContent:
    """The best runs with their heat maps; why one has none is noted, and aside, in full, with the places it names."""
    by_name = {run.name: run for run in runs}
    told, notes = list(content.runs), list(content.notes)
    chosen = [by_name[one.summary["run"]] for one in told[:most]]
    identity = Identity.load() if redact else None
    question = Question(manifest=manifest, count=SHOWN, network=network, identity=identity, seed=seed)
    found = explain_together(chosen, question, tell)
    for place, (run, of_run) in enumerate(zip(chosen, found, strict=True)):
        if isinstance(of_run, CxrFeatError):
            notes.append(f"No heat maps of {run.name}: {_why_none(of_run)}")
            aside.append(f"No heat maps of {run.name}: {of_run}")
        else:
            told[place] = replace(told[place], heat=_heat(of_run, images=images))
    if len(told) > most:
        notes.append(
            f"Heat maps are of the best {most if most > 1 else 'run'}; for those of another run, report it alone."
        )
    return replace(content, runs=tuple(told), notes=tuple(notes))


def _why_none(error: CxrFeatError) -> str:
    """Why a run has no heat maps, in words that name no place and no image: the page may go anywhere."""
    return next(said for kind, said in _WHY_NONE if isinstance(error, kind))


_WHY_NONE: tuple[tuple[type[CxrFeatError], str], ...] = (
    (WeightsError, "its network is not where it was, or is another one. Say where it is with --network."),
    (MissingExtraError, "they take an optional package that is not installed."),
    (UsageError, "no way of explaining goes with its head and its network."),
    (InputError, "its test images cannot be used as it saw them."),
)


def _heat(found: Explained, *, images: bool) -> Heat:
    """Where a run looked; judged alone where the page may hold no pictures."""
    pictures = []
    for one in found.images if images else ():
        small = reduced(pixels_of(one.path), SIDE)
        pictures.append(
            HeatPicture(
                label=one.true or "unknown",
                predicted=one.label,
                probability=one.probabilities[one.label],
                image=jpeg_address(small),
                overlay=_laid(small, one.placing.lay(one.heat, small.shape)),
                caption=one.image,
            )
        )
    means = tuple(
        MeanHeat(
            label=name,
            images=mean.images,
            image=jpeg_address(mean.picture),
            overlay=_laid(mean.picture, mean.heat),
        )
        for name, mean in (found.means.items() if images else ())
    )
    return Heat(
        method=NAMES[found.method],
        pictures=tuple(sorted(pictures, key=lambda one: one.right)),
        means=means,
        findings=tuple(asdict(one) for one in found.findings),
        judged=found.judged,
        tested=len({sha for sha, _ in tested(found.run).rows}),
        chosen=_chosen(found),
        notes=found.notes,
    )


def _chosen(found: Explained) -> str:
    """How the judged images were chosen from those that tested the run, where they were."""
    if found.method == "occlusion":  # judged on those that are shown
        return "chosen half right and half wrong, as far as there are both"
    return "drawn by chance" if found.judged + len(found.quarantined) >= CHECKED else ""


def _laid(picture: Pixels, heat: NDArray[np.float32]) -> str:
    return jpeg_address(overlay(picture, heat))

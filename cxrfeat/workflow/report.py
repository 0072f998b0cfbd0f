"""The recipe of a report: everything that one page shows of some runs, gathered from them and from what they name."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, MissingExtraError, UsageError, WeightsError
from cxrfeat.explaining.explainer import NAMES
from cxrfeat.explaining.images import CHECKED, pixels_of
from cxrfeat.explaining.projection import Projecting
from cxrfeat.explaining.projection import projection as lay_out
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.duplicate import Pair, find_duplicates
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.manifest_file import manifest_path, read_patients
from cxrfeat.image.row import ImageRow, Manifest, Selection
from cxrfeat.image.split import NO_PART
from cxrfeat.metric.roc import calibration_band, roc_band
from cxrfeat.reporting.content import (
    Copy,
    DataContent,
    FeatureMap,
    Heat,
    HeatPicture,
    MeanHeat,
    ReportContent,
    RunContent,
    Tiles,
)
from cxrfeat.reporting.inventory import counts_table
from cxrfeat.reporting.page import datasets_of, render_report
from cxrfeat.reporting.picture import Pixels, contact_sheet, jpeg_address, overlay, reduced
from cxrfeat.reporting.table import Table
from cxrfeat.run.folder import Run, RunLike, csv_cell, find_runs
from cxrfeat.spec import HeadSpec
from cxrfeat.system.files import check_writable, write_atomic
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Progress, named
from cxrfeat.workflow.compare import different, side_by_side, tested
from cxrfeat.workflow.explain import Explained, explain_together
from cxrfeat.workflow.fit_head import as_fitted

LIMIT = 10_000_000
"""Bytes that a page stays below, so that it can be sent by mail; pictures go first."""
POINTS = 2000
"""Images that a feature map shows at most."""
EXPLAINED, SHOWN = 3, 8
"""Runs of one data set that heat maps are made for, the best first, and test images of each."""
SIDE = 400
"""Height and width of a picture under its heat, at most, in pixels."""
_USUAL = "report.html"
LOOKED_THROUGH = 6000
"""Images that are searched for copies while somebody waits; `cxrfeat audit` searches any number."""


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
    _check_place(place or Path(_USUAL))
    method = _projecting(projection)
    chosen = different(find_runs(runs, runs=folder))
    if not chosen:
        raise UsageError("A report is of at least one run, and there is none. Make one: `cxrfeat fit-head`.")
    aside: list[str] = []
    out = place or _usual_place(chosen, aside)
    by_data: dict[str, list[Run]] = {}
    for run in chosen:
        by_data.setdefault(_data_of(run), []).append(run)
    manifest = _manifest_of(data, chosen, reading, progress)
    rows = _rows_of(manifest)
    parts = [
        _of_data(sha, of_data, features, rows, method, images=images, redact=redact, seed=seed, progress=progress)
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
        command=shlex.join(
            [
                *_command(chosen, data is not None, images=images, redact=redact, seed=seed),
                *(["--map", method] if method != "pca" else []),
                *_places(out, features, network, chosen, redact=redact),
            ]
        ),
        notes=_kept_apart(parts),
    )
    content, page = _below_limit(content)
    write_atomic(out, page)
    return Report(path=out, content=content, size=len(page), notes=tuple(aside))


def _projecting(method: str) -> Projecting:
    """The projection of that name, if it is there: before minutes of work."""
    if method == "umap" and find_spec("umap") is None:
        raise MissingExtraError(
            "`projection=umap` needs the extra umap: pip install 'cxrfeat[umap]'. Or take pca or tsne."
        )
    for one in _HOW:
        if one == method:
            return one
    raise UsageError(f"`projection` lays features out by {', '.join(_HOW)}; got {method!r}.")


_HOW: dict[Projecting, str] = {
    "pca": "The plane of the two largest principal components of the plain views' features.",
    "tsne": "The plain views' features by t-SNE: neighbours are kept, and distances between clusters mean little.",
    "umap": "The plain views' features by UMAP: neighbours are kept, and distances between clusters mean little.",
}
"""What the page says of each projection."""


def _check_place(out: Path) -> None:
    """Refuse early, before minutes of work, what could not be written."""
    if out.is_dir():
        raise InputError(f"{out} is a folder; the page needs the name of a file, such as {out / 'report.html'}.")
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent} to write {out.name} into. Make it, or choose another `out`.")
    check_writable(out.parent)


def _usual_place(runs: Sequence[Run], notes: list[str]) -> Path:
    """Where a page of these runs goes that nobody named: never over one of other data, which may have taken minutes."""
    datasets = {str(run.info.get("dataset")) for run in runs}
    place, number = Path(_USUAL), 1
    while place.exists() and not datasets & datasets_of(place):
        number += 1
        place = Path(f"report-{number}.html")
    if number > 1:
        notes.append(f"{_USUAL} is no page of these data: this one is {place}, and nothing is replaced.")
    return place


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


def _rows_of(manifest: Manifest | None) -> dict[str, list[ImageRow]]:
    """The images by content, those of one content in order of path."""
    rows: dict[str, list[ImageRow]] = {}
    for row in manifest.rows if manifest else ():
        rows.setdefault(row.content_sha256, []).append(row)
    return rows


def _of_data(
    sha: str,
    runs: Sequence[Run],
    features: Path,
    rows: Mapping[str, Sequence[ImageRow]],
    method: Projecting,
    *,
    images: bool,
    redact: bool,
    seed: int,
    progress: Progress | None,
) -> DataContent:
    compared = side_by_side(runs, seed)
    document = compared.to_dict()
    names = _names(rows, redact=redact)
    notes: list[str] = []
    contents = []
    for place, (run, summary) in enumerate(zip(compared.runs, document["runs"], strict=True)):
        contents.append(_of_run(run, summary, seed))
        if progress:
            progress("curves", place + 1, len(runs))
    files = _feature_files(compared.runs, features, notes)
    maps: list[FeatureMap] = []
    copies: tuple[Copy, ...] | None = None
    tiles: Tiles | None = None
    counts: Table | None = None
    if files:
        first = files[0]
        parts = _parts_of(compared.runs[0])
        by_row = first.content_sha256
        where = [parts.get(key) for key in by_row]
        told = {"": where, "source": first.texts("source")}
        counts = counts_table(first.classes, first.labels.tolist(), first.groups.tolist(), told)
        sheet = _Sheet(first)
        pairs = _pairs(first, notes)
        keys = {by_row[row] for row in _some(first.images, seed)}
        for file in files:
            of_file = [row for row, key in enumerate(file.content_sha256) if key in keys]
            best = next(run for run in compared.runs if _fingerprint(run) == file.fingerprint)
            maps.append(_feature_map(file, of_file, best, sheet, _named(file, names), method, seed))
            if progress:
                progress("feature maps", len(maps), len(files))
        if pairs is not None:
            known, called = _patients(first), _named(first, names)
            copies = tuple(_copy(first, pair, sheet, called, known, where) for pair in pairs)
        tiles = sheet.tiles() if images else None
        for file in files:
            file.close()
    return DataContent(
        dataset=str(compared.runs[0].info["dataset"]),
        data_sha256=sha,
        comparison=document,
        runs=tuple(contents),
        counts=counts,
        maps=tuple(maps),
        copies=copies,
        tiles=tiles,
        notes=tuple(notes),
    )


def _names(rows: Mapping[str, Sequence[ImageRow]], *, redact: bool) -> dict[str, list[str]]:
    """What the images of each content may be called."""
    if not redact:
        return {sha: [row.path for row in same] for sha, same in rows.items()}
    identity = Identity.load() if rows else None
    return {sha: [identity.image_id(row.path, sha) for row in same] for sha, same in rows.items()} if identity else {}


def _named(file: FeatureFile, names: Mapping[str, Sequence[str]]) -> list[str]:
    """What each image of a file is called; copies, which are one content, by their own names in the same order."""
    told, seen = [], Counter[str]()
    for key, image_id in zip(file.content_sha256, file.image_ids, strict=True):
        known = names.get(key, ())
        told.append(known[seen[key]] if seen[key] < len(known) else f"image {image_id[:8]}")
        seen[key] += 1
    return told


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
        command=command_of(run),
    )


def _fingerprint(run: Run) -> str | None:
    """Of the features that the run's head sees; `None` for a fine-tuned run, whose features nobody keeps."""
    kept = (run.info.get("features") or {}).get("file") is not None
    return str(run.info["identity"].get("features")) if kept else None


def _feature_files(runs: Sequence[Run], folder: Path, notes: list[str]) -> list[FeatureFile]:
    """The feature files of the runs, that of the best first; what is missing is noted."""
    found: dict[str, FeatureFile] = {}
    missed: set[str] = set()
    for run in runs:
        fingerprint = _fingerprint(run)
        if fingerprint is None or fingerprint in found or fingerprint in missed:
            continue
        name = str(run.info["features"]["file"])
        there = [path for path in (folder / name, *sorted(folder.glob(f"*{fingerprint[:8]}.h5"))) if path.is_file()]
        file = _made_of(there, fingerprint, run)
        if file is not None:
            found[fingerprint] = file
            continue
        missed.add(fingerprint)
        why = f"{name} is not in {folder.name}" if not there else f"{there[0].name} was made again since, of other data"
        notes.append(
            f"No feature map and no search for copies for {run.info['backbone']}: {why}. "
            "Say where it is with --features, or extract the features again."
        )
    if not found and not missed:
        notes.append("No feature map and no search for copies: a network that was fine-tuned keeps no features.")
    return list(found.values())


def _made_of(places: Sequence[Path], fingerprint: str, run: Run) -> FeatureFile | None:
    """The feature file of one network and of a run's data; other data sets have files of the network too."""
    for place in places:
        file = FeatureFile(place)
        fitted = as_fitted(file, run)
        if fitted is not None and (file.fingerprint, fitted.content.data_sha256) == (fingerprint, _data_of(run)):
            return fitted
        file.close()
    return None


def _some(images: int, seed: int) -> list[int]:
    """Rows to show: all, or as many as a map bears, drawn by chance."""
    if images <= POINTS:
        return list(range(images))
    return sorted(np.random.default_rng(seed).choice(images, POINTS, replace=False).tolist())


class _Sheet:
    """Numbers the small pictures as they are needed, each image once."""

    def __init__(self, file: FeatureFile) -> None:
        self._portraits = file.content.columns["portrait"]
        self._keys = file.content_sha256
        self._row = {key: row for row, key in reversed([*enumerate(self._keys)])}
        self._number: dict[str, int] = {}

    def number(self, key: str) -> int:
        """The place of an image's picture, by content."""
        return self._number.setdefault(key, len(self._number))

    def number_of(self, row: int) -> int:
        """The same by its row in the file."""
        return self.number(self._keys[row])

    def tiles(self) -> Tiles | None:
        """All pictures that were asked for."""
        if not self._number:
            return None
        wanted: NDArray[np.uint8] = self._portraits[[self._row[key] for key in self._number]]
        columns = math.ceil(math.sqrt(len(wanted)))
        side, count = wanted.shape[1], len(wanted)
        return Tiles(address=jpeg_address(contact_sheet(wanted, columns)), side=side, columns=columns, count=count)


def _parts_of(run: Run) -> dict[str, str]:
    """The part of each image, by content, as it is to be read."""
    table = run.table("split.csv")
    try:
        pairs = zip(table["content_sha256"], table["part"], strict=True)
        return {sha: "in no part" if part == NO_PART else part for sha, part in pairs}
    except KeyError as error:
        raise IntegrityError(f"{run.path / 'split.csv'} lacks {error}. Fit the head again.") from error


def _feature_map(
    file: FeatureFile,
    rows: Sequence[int],
    best: Run,
    sheet: _Sheet,
    names: Sequence[str],
    method: Projecting,
    seed: int,
) -> FeatureMap:
    keys, labels = file.content_sha256, file.labels
    where = _parts_of(best)
    predictions = best.table("predictions.csv")
    told = zip(predictions["content_sha256"], predictions["part"], predictions["predicted"], strict=True)
    said = {key: predicted for key, part, predicted in told if part != "validation"}
    sources = file.texts("source")
    listed = sorted({one for one in sources if one is not None})
    if listed and None in sources:
        listed.append("unknown")
    kinds, words, wrong = [], [], []
    for row in rows:
        name, source, key = file.classes[labels[row]], sources[row] or "unknown", keys[row]
        kinds.append((int(labels[row]), listed.index(source) if listed else 0))
        missed = key in said and said[key] != name
        parts = [name, f"source {source}" if listed else "", where.get(key, "")]
        parts += [f"taken for {said[key]}" if key in said else "", names[row]]
        words.append(", ".join(part for part in parts if part))
        wrong.append(missed)
    X, _, _ = file.arrays(view=0)
    laid = lay_out(X[list(rows)], method=method, seed=seed)
    return FeatureMap(
        backbone=file.content.backbone,
        places=laid.points,
        classes=file.classes,
        sources=tuple(listed),
        kinds=tuple(kinds),
        words=tuple(words),
        wrong=tuple(wrong),
        tiles=tuple(sheet.number(keys[row]) for row in rows),
        images=file.images,
        how=_HOW[laid.method],
    )


def _pairs(file: FeatureFile, notes: list[str]) -> tuple[Pair, ...] | None:
    """Copies among the images of a feature file; `None` where there are too many to look through."""
    if file.images > LOOKED_THROUGH:
        notes.append(f"{file.images} images are too many to search for copies here: run `cxrfeat audit`.")
        return None
    columns, keys = file.content.columns, file.content_sha256
    return find_duplicates(keys, columns["portrait"], columns["pixel_digest"])


def _patients(file: FeatureFile) -> list[str | None]:
    """Whose each image is, as far as the private manifest says: the one file that may."""
    place = manifest_path(file.path.parent, file.content.dataset)
    known = read_patients(place) if place.is_file() else {}
    return [known.get(image_id) for image_id in file.image_ids]


def _copy(
    file: FeatureFile,
    pair: Pair,
    sheet: _Sheet,
    names: Sequence[str],
    patients: Sequence[str | None],
    parts: Sequence[str | None],
) -> Copy:
    both = (pair.one, pair.other)
    labels = file.labels
    how = {"bytes": "The same file.", "pixels": "The same pixels in another file."}.get(
        pair.kind, f"Nearly the same picture (similarity {pair.similarity:.2f})"
    )
    if pair.kind == "near":
        how += f", {pair.change}." if pair.change else "."
    if patients[pair.one] is not None and patients[pair.one] == patients[pair.other]:
        how += " Of one patient."
    sides = [parts[row] for row in both]
    if None not in sides and sides[0] != sides[1]:
        how += f" In two parts: {sides[0]} and {sides[1]}."
    one, other = (names[row] for row in both)
    a, b = (file.classes[labels[row]] for row in both)
    return Copy(
        tiles=(sheet.number_of(pair.one), sheet.number_of(pair.other)),
        names=(one, other),
        classes=(a, b),
        how=how,
    )


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
    found = explain_together(
        chosen, data=manifest.root, manifest=manifest, count=SHOWN, network=network, redact=redact, seed=seed,
        progress=tell,
    )  # fmt: skip
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


def command_of(run: Run) -> str | None:
    """The command that makes a run of `fit-head` or `finetune` again; `None` for other runs.

    The page names the feature file, not where it lies.
    """
    info = run.info
    if info.get("kind") == "finetune":
        return _finetune_command(info)
    identity, split = info.get("identity") or {}, info.get("split") or {}
    head = identity.get("head")
    if info.get("kind") != "head" or not head or head.get("seed") != split.get("seed") or split.get("by") == "bound":
        return None
    words = ["cxrfeat", "fit-head", f"features/{info['features']['file']}", "--head", head["kind"]]
    for field in fields(HeadSpec):
        value = head.get(field.name, field.default)
        if field.name in ("kind", "seed") or value == field.default:
            continue
        option = field.name.replace("_", "-")
        listed = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words += [f"--{option}" if value else f"--no-{option}"] if isinstance(value, bool) else [f"--{option}", listed]
    for name in identity.get("classes") or ():
        words += ["--classes", csv_cell(name)]
    by = split.get("by")
    if by == "folds":
        words += ["--folds", str(split["folds"])] + (["--repeats", str(split["repeats"])] if "repeats" in split else [])
    elif by == "source-out":
        words.append("--source-out")
    else:
        words += ["--split-by", str(by)] + (["--regroup"] if split.get("regroup") else [])
    words += ["--tta"] if info.get("tta") else []
    return shlex.join([*words, "--seed", str(split["seed"])])


_TUNED_OPTIONS = (
    "epochs", "batch", "optimizer", "learning_rate", "schedule", "momentum", "patience", "class_weights",
    "label_smoothing",
)  # fmt: skip
"""Fields of the head's protocol that `finetune` takes as options."""


def _finetune_command(info: Mapping[str, Any]) -> str:
    """Every setting as an option, so that it does not matter from which recipe they came."""
    about, spec = info["finetune"], info["finetune"]["spec"]
    head = spec["head"]
    words = ["cxrfeat", "finetune", "DATA"]
    if about["head_from"] is not None:
        words += ["--head-from", about["head_from"]]
    else:
        words += ["--cache", f"features/{about['file']}", "--cold", "--head", head["kind"]]
        words += [] if info["split"]["by"] == "bound" else ["--split-by", info["split"]["by"]]
        words += ["--regroup"] if info["split"].get("regroup") else []
    values = {name: head[name] for name in _TUNED_OPTIONS}
    values |= {"patience": head["patience"] or 0, "clip": spec["clip"] or 0}
    values |= {name: spec[name] for name in ("batchnorm", "freeze_until", "precision") if spec[name] is not None}
    for name, value in values.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    words.append("--calibrate" if head["calibrate"] else "--no-calibrate")
    return shlex.join([*words, "--seed", str(head["seed"])])


def _command(runs: Sequence[Run], pictured: bool, *, images: bool, redact: bool, seed: int) -> list[str]:  # noqa: FBT001
    words = ["cxrfeat", "report", *(run.name for run in runs)]
    words += ["--data", "DATA"] if pictured else []
    words += ["--no-images"] if not images else []
    words += ["--redact"] if redact else []
    return [*words, "--seed", str(seed)]


def _places(out: Path, features: Path, network: Path | None, runs: Sequence[Run], *, redact: bool) -> list[str]:
    """The options that name files and folders, where they are not as usual; of a place of this machine its last part.

    The page may go anywhere, so it does not tell where somebody's folders lie.
    """
    told = {"--network": network, "--out": out, "--features": features, "--runs": runs[0].path.parent}
    usual = {"--out": _USUAL, "--features": "features", "--runs": "runs"}
    words = []
    for option, place in told.items():
        if place is not None:
            outside = redact or place.is_absolute() or ".." in place.parts
            shown = place.name if outside else place.as_posix()
            words += [option, shown] if shown != usual.get(option) else []
    return words


def _below_limit(content: ReportContent) -> tuple[ReportContent, bytes]:
    """The page, with as many of its pictures as it may hold."""
    for smaller in (content, *_smaller(content)):
        page = render_report(smaller).encode()
        if len(page) < LIMIT:
            return smaller, page
    raise InputError(
        f"A page of {sum(len(data.runs) for data in content.data)} runs is {len(page) / 1e6:.1f} MB even without "
        f"pictures, and stays below {LIMIT / 1e6:.0f}. Report fewer runs at a time."
    )


def _smaller(content: ReportContent) -> Iterator[ReportContent]:
    """The same with fewer and fewer pictures, and a note of what is missing."""

    def of(change: Any, note: str) -> ReportContent:  # noqa: ANN401  # DataContent in, DataContent out
        return replace(content, data=tuple(map(change, content.data)), notes=(*content.notes, note))

    def heat(data: DataContent, most: int) -> DataContent:
        return replace(
            data,
            runs=tuple(
                replace(run, heat=run.heat and replace(run.heat, pictures=(), means=())) if place >= most else run
                for place, run in enumerate(data.runs)
            ),
        )

    limit = f"to stay below {LIMIT / 1e6:.0f} MB"
    yield of(lambda data: heat(data, 1), f"Heat maps of the best run only, {limit}.")
    yield of(lambda data: heat(data, 0), f"Without heat maps, {limit}.")
    yield of(lambda data: replace(heat(data, 0), tiles=None), f"Without any picture, {limit}.")
    yield of(lambda data: replace(heat(data, 0), tiles=None, maps=()), f"Without pictures and feature maps, {limit}.")

"""The recipe of the whole audit: every image read once, and every question asked whose answer could void a score."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.container import container_of_rows, indicators
from cxrfeat.auditing.control import (
    check_control,
    check_controls,
    check_outside,
    control_probabilities,
    untested,
)
from cxrfeat.auditing.control import column_scores as scores_of_column
from cxrfeat.auditing.copies import COLUMNS, Copy, check_copies, told_copies
from cxrfeat.auditing.inspections import inspect_images
from cxrfeat.auditing.mask import check_masks
from cxrfeat.auditing.people import (
    check_children,
    check_labels,
    check_mixed,
    check_patients,
    check_unknown,
    metadata_columns,
)
from cxrfeat.auditing.reading import check_reading
from cxrfeat.auditing.sanity import check_sanity
from cxrfeat.auditing.short import (
    CONTAINER,
    REMEDY,
    SEEN,
    THUMBNAIL,
    alike,
    check_column,
    check_quarantine,
    check_split,
    check_strangers,
)
from cxrfeat.auditing.source import SourceTable, check_sources, check_within
from cxrfeat.backbone.choose import choose_engine, find_engine, usual_batch
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.errors import BadImageError, InputError, SplitError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Fold, Split
from cxrfeat.feature.variant import variant_features
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.duplicate import Pair, find_duplicates
from cxrfeat.image.group import group
from cxrfeat.image.index import index_folder, require_classes
from cxrfeat.image.inspect import Inspection
from cxrfeat.image.mask import NO_MASKS, Masks, find_masks, masks_digest
from cxrfeat.image.patient import mixed_rows
from cxrfeat.image.row import ImageRow, Manifest, Quarantined, Selection
from cxrfeat.image.split import NO_PART, folds
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.shortcut import control_scores, tested_groups
from cxrfeat.metric.source import within_source
from cxrfeat.reporting.audit_page import pictured, render_audit
from cxrfeat.reporting.picture import data_address
from cxrfeat.run.table import to_csv
from cxrfeat.spec import ViewSpec
from cxrfeat.system.files import check_writable, write_atomic
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.process import threads
from cxrfeat.types import Features, Finding, Groups, Labels, Probabilities, Progress, Status, failed_first, named

BORDER = 0.12
"""Share of height and width at each side that the control "border only" keeps, and that the remedies take away: letters
lie in it, and little of the lungs."""

MASKED = 0.9
"""Share of the images that have a lung mask, at least, for the remedy that leaves nothing but lungs; the template
stands in for the masks of the others."""

HISTOGRAM, MODEL = "histogram", "model"

CONTROL_VIEWS: dict[str, dict[str, Any]] = {
    "border only": {"border_only": BORDER},
    "lungs out": {"mask": "outside"},
    "shuffled blocks": {"shuffle": 8},
}
"""Views that show no lungs, or none as they are, to the same network and the same kind of head."""

MITIGATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "crop": {"border_crop": BORDER},
    "darken": {"border_darken": BORDER},
    "letters": {"letters": True},
    "lungs": {"mask": "lungs"},
}
"""Ways to make a network look at the lungs, each an ordinary option of `extract`."""

_SEEN = SEEN | {
    HISTOGRAM: "Histograms of grey levels",
    "border only": "Images of their borders only",
    "lungs out": "Images with the lungs blacked out",
    "shuffled blocks": "Images cut into blocks and shuffled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mitigation:
    """What one way to make the network look at the lungs costs and cures."""

    name: str
    auroc: float | None
    """Of the model on images so treated."""
    auroc_ci: list[float] | None
    control: float | None
    """AUROC on the same images without their lungs; for `lungs`, which has nothing else, on their borders only."""
    ratio: float | None
    """Shortcut ratio of the two."""
    ratio_ci: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """Everything the audit found."""

    images: int
    classes: tuple[str, ...]
    findings: tuple[Finding, ...]
    """Failed ones first."""
    sources: SourceTable
    within_source: dict[str, Any] | None
    """Scores of the model among images of one source, where there is a model."""
    controls: dict[str, dict[str, Any]]
    """Scores of each control, and of the model under `model`."""
    copies: tuple[Copy, ...]
    """Pairs of images that are one picture."""
    mitigations: tuple[Mitigation, ...]
    quarantined: tuple[Quarantined, ...]
    contents: dict[str, str]
    """Content hash of each image, by its path."""

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed."""
        return [finding for finding in self.findings if finding.status is Status.FAIL]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `audit`."""
        return {
            "images": self.images,
            "classes": list(self.classes),
            "checks": [asdict(finding) for finding in self.findings],
            "sources": self.sources.to_dict(),
            "within_source": self.within_source,
            "controls": self.controls,
            "copies": [one.to_dict() for one in self.copies],
            "mitigations": [asdict(one) for one in self.mitigations],
            "quarantined": [asdict(one) for one in self.quarantined],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Images:
    """The images that could be read, and how they are judged."""

    manifest: Manifest
    rows: tuple[ImageRow, ...]
    inspections: tuple[Inspection, ...]
    pairs: tuple[Pair, ...]
    groups: Groups
    labels: Labels
    folds: tuple[Fold, ...]
    """Of the classes that are large enough; none where there are no two."""
    unfolded: Finding | None
    """What there is to say of classes that are not."""
    strangers: Finding | None
    """What there is to say of images that the feature file does not hold."""
    seed: int

    @property
    def tested(self) -> NDArray[np.intp]:
        return np.concatenate([fold.test for fold in self.folds])

    def probabilities(self, seen: Features) -> Probabilities:
        """Of a logistic regression on what is seen, out of fold, in the order of `tested`."""
        return control_probabilities(seen, self.labels, self.folds, self.manifest.classes)

    def scores(self, told: Probabilities, model: Probabilities | None = None) -> dict[str, Any]:
        rows = self.tested
        return control_scores(self.labels[rows], told, self.groups[rows], self.manifest.classes, model, seed=self.seed)


def audit(
    data: PathLike,
    *,
    cache: PathLike | None = None,
    network: PathLike | None = None,
    mitigate: bool = False,
    fold_count: int = 5,
    selection: Selection | None = None,
    seed: int = 0,
    places: bool = True,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Ask of a data set everything whose answer could void a score on it.

    Args:
        data: Folder of images (see `index`).
        cache: A feature file of these images; with it, the model and images without lungs are judged too.
        network: Where its network is, if it is no longer where it was.
        mitigate: Compare ways to make the network look at the lungs; takes `cache`.
        fold_count: Controls and model are judged by grouped cross-validation in so many folds.
        selection: Which images to take.
        seed: Of folds and intervals.
        places: Whether commands to paste may name `data` and `cache`.
        make_engine: Loads a network; for tests and other engines.
        progress: Told what is being done, how much of it, out of how much.

    Returns:
        Findings, failed ones first, and the figures behind them.

    Raises:
        InputError: If the data cannot be used, or the feature file holds too few of the images.
        SplitError: If there are fewer than 2 folds.
        WeightsError: If the network of the features is not there.
    """
    data = as_path(data, "the data folder")
    if mitigate and cache is None:
        raise InputError("`mitigate` runs a network over changed images: name a feature file of it with `cache`.")
    if fold_count < 2:
        raise SplitError(f"Cross-validation needs at least 2 folds; got {fold_count}.")
    with ExitStack() as stack:
        file = stack.enter_context(FeatureFile(cache)) if cache is not None else None
        if file is not None:
            find_again(file.spec, file.content.backbone, path=network)  # before minutes of work, not after
        manifest = index_folder(data, selection or Selection(), progress=named(progress, "reading files"))
        require_classes(manifest)
        images, bad = _read(manifest, file, fold_count, seed, progress)
        model, mitigations = None, tuple[Mitigation, ...]()
        scored: dict[str, dict[str, Any]] = {}
        masks = find_masks(images.rows, manifest.root) if file is not None else NO_MASKS
        if images.folds:
            controls = _pixel_controls(images)
            if file is not None:
                model = images.probabilities(_stored(file, images.rows))
                ways = _ways(images, masks) if mitigate else {}
                without = {_without_lungs(name): _control_of(change) for name, change in ways.items()}
                changes = {**CONTROL_VIEWS, **ways, **without}
                seen = _changed(images, masks, file, network, make_engine, changes, progress)
                told = {name: images.probabilities(features) for name, features in seen.items()}
                controls |= {name: told[name] for name in CONTROL_VIEWS}
                mitigations = tuple(_mitigation(images, name, told) for name in ways)
            scored = {name: images.scores(told, model) for name, told in controls.items()}
    columns = _column_scores(images)
    copies = told_copies(images.pairs, images.rows)
    hidden = (Path("DATA"), None if cache is None else "FEATURES.h5")
    look = _look(*((data, cache) if places else hidden), mitigated=mitigate)
    within = None if model is None else _within(images, model)
    findings = [
        *check_reading(manifest.notes),
        *_about_images(images, copies),
        *_about_controls(images, scored, columns, look),
        *check_within(within),
        *_about_data(images, bad),
        *check_masks(masks, [row.content_sha256 for row in images.rows]),
    ]
    scored |= {name: one for name, one in columns.items() if one is not None}
    if model is not None:
        scored[MODEL] = images.scores(model)
    return AuditResult(
        images=len(images.rows),
        classes=manifest.classes,
        findings=tuple(failed_first(one for one in findings if one is not None)),
        sources=_sources(images),
        within_source=within,
        controls=scored,
        copies=copies,
        mitigations=mitigations,
        quarantined=tuple(bad),
        contents={row.path: row.content_sha256 for row in images.rows},
    )


def _look(data: Path, cache: PathLike | None, *, mitigated: bool) -> str:
    """What to do about a control that does well, as commands to paste."""
    look = "Look at what differs between the classes"
    if mitigated:
        return f"{look}, and at what helps: the table of ways to make it look at the lungs."
    if cache is None:
        return f"{look}, and at what a model has of it: cxrfeat audit {shlex.quote(str(data))} --cache FEATURES.h5"
    return f"{look}, and see what helps: " + shlex.join(
        ["cxrfeat", "audit", str(data), "--cache", str(cache), "--mitigate"]
    )


def check_place(place: Path | None, option: str) -> None:
    """Refuse, before minutes of work, a file that could not be written.

    Raises:
        InputError: If its folder is not there, or it is a folder.
        StorageError: If nothing can be written there.
    """
    if place is None:
        return
    if place.is_dir():
        raise InputError(f"{option} {shlex.quote(str(place))} is a folder; name a file in it.")
    if not place.parent.is_dir():
        raise InputError(f"There is no folder {place.parent} to write {place.name} into. Make it, or choose another.")
    check_writable(place.parent)


def write_copies(place: Path, copies: Sequence[Mapping[str, Any]]) -> None:
    """Write every pair of copies as a row of CSV, readable by its owner only, since it holds paths.

    Args:
        place: The file.
        copies: As in the document of `audit`.

    Raises:
        StorageError: If it cannot be written.
    """
    text = to_csv({name: [one[name] for one in copies] for name in COLUMNS})
    # surrogatepass: file names that are not UTF-8 must come back as they were.
    write_atomic(place, text.encode("utf-8", "surrogatepass"), private=True)


def write_page(place: Path, document: Mapping[str, Any], root: Path | None) -> None:
    """Write what the audit found as one self-contained page.

    Args:
        place: The page.
        document: As `AuditResult.to_dict` gives it.
        root: The data folder, from which the page takes small pictures; `None` shows none.

    Raises:
        StorageError: If it cannot be written.
    """
    pictures = {} if root is None else {path: _picture(root / path) for path in pictured(document)}
    title = f"cxrfeat audit of {document['images']} images"
    write_atomic(place, render_audit(title, document, {path: one for path, one in pictures.items() if one}).encode())


def _picture(path: Path) -> str | None:
    """A small picture as a `data:` address; `None` where the file can no longer be read."""
    try:
        return data_address(decode(read_file(path)))
    except BadImageError:
        return None


def _read(
    manifest: Manifest, file: FeatureFile | None, fold_count: int, seed: int, progress: Progress | None
) -> tuple[_Images, list[Quarantined]]:
    bad = list(manifest.quarantined)
    ours, strangers = manifest, None
    if file is not None:
        known = set(file.content_sha256)
        ours = replace(manifest, rows=tuple(row for row in manifest.rows if row.content_sha256 in known))
        if 2 * len(ours.rows) < len(manifest.rows):
            raise InputError(
                f"{file.path} was made from other data: of the {len(manifest.rows)} images in {manifest.root} it "
                f"holds {len(ours.rows)}. Check the folder, and with `cache` name the feature file of these images."
            )
        strange = [row.path for row in manifest.rows if row.content_sha256 not in known]
        strangers = check_strangers(strange, len(manifest.rows))
    inspected = inspect_images(ours, named(progress, "looking at images"))
    rows, inspections = [], []
    for row, one in zip(ours.rows, inspected, strict=True):
        if isinstance(one, BadImageError):
            bad.append(Quarantined(path=row.path, stage=one.stage, reason=one.reason))
        else:
            rows.append(row)
            inspections.append(one)
    if not rows:
        raise InputError(
            f"Not one of the {len(ours.rows)} images in {manifest.root} can be used, such as {bad[0].path!r} "
            f"({bad[0].reason}). Check the folder."
        )
    whole = replace(manifest, rows=tuple(rows))
    keys = [row.content_sha256 for row in rows]
    pairs = find_duplicates(
        keys,
        np.stack([one.look.portrait for one in inspections]),
        np.array([one.look.pixel_digest for one in inspections], np.uint64),
        None if file is None else _stored(file, rows),
    )
    groups = group(rows, also=[(pair.one, pair.other) for pair in pairs])
    dealt, unfolded = _dealt(whole, groups, fold_count, seed)
    images = _Images(
        manifest=whole,
        rows=tuple(rows),
        inspections=tuple(inspections),
        pairs=pairs,
        groups=groups,
        labels=whole.labels,
        folds=dealt,
        unfolded=unfolded,
        strangers=strangers,
        seed=seed,
    )
    return images, bad


def _dealt(manifest: Manifest, groups: Groups, count: int, seed: int) -> tuple[tuple[Fold, ...], Finding | None]:
    """Folds of the classes that have groups enough for them, and what to say of the others."""
    labels, classes = manifest.labels, manifest.classes
    there = tested_groups(labels, groups, classes)
    said = check_controls(there, least=max(LEAST_GROUPS, count), do=_more(list(there.values()), count))
    large = [index for index, name in enumerate(classes) if there[name] >= count]
    if len(large) < 2:
        return (), said
    rows = np.flatnonzero(np.isin(labels, large))
    names = [classes[index] for index in large]
    keys = [manifest.rows[row].content_sha256 for row in rows.tolist()]
    try:
        dealt = folds(np.searchsorted(large, labels[rows]), groups[rows], names, count, seed, keys=keys)
    except SplitError as error:
        return (), untested(str(error))
    made = tuple(
        Fold(name=f"fold {number}", train=rows[train], validation=np.arange(0), test=rows[test])
        for number, (train, test) in enumerate(dealt)
    )
    return made, said


def _more(groups: Sequence[int], count: int) -> str:
    """What to do where classes are too small for so many folds."""
    second = sorted(groups)[-2]
    if count > second >= LEAST_GROUPS:
        return f"Ask for {second} folds or fewer: --folds {second}."
    return "Add images of the small classes, or leave them out: --classes."


def _pixel_controls(images: _Images) -> dict[str, Probabilities]:
    """Controls that need no network."""
    looks = [one.look for one in images.inspections]
    histograms = np.array([one.histogram for one in images.inspections], dtype=np.float64)
    shares = histograms / histograms.sum(axis=1, keepdims=True)
    seen: dict[str, Features] = {
        CONTAINER: indicators(container_of_rows(images.rows, looks)),
        THUMBNAIL: np.array([look.thumbnail for look in looks], np.float32).reshape(len(looks), -1),
        HISTOGRAM: np.sqrt(shares).astype(np.float32),
    }
    return {name: images.probabilities(values) for name, values in seen.items() if values.shape[1]}


def _metadata(rows: Sequence[ImageRow]) -> dict[str, NDArray[np.generic]]:
    texts = {name: np.array([getattr(row, name) or "" for row in rows]) for name in ("sex", "view_position")}
    return {"age": _ages(rows), **texts}


def _column_scores(images: _Images) -> dict[str, dict[str, Any] | None]:
    """Scores of each column of the metadata, among the images of which it says anything."""
    if not images.folds:
        return {}
    of = (images.labels, images.groups, images.folds, images.manifest.classes)
    columns = metadata_columns(_metadata(images.rows))
    return {name: scores_of_column(column, *of, seed=images.seed) for name, column in columns.items()}


def _changed(
    images: _Images,
    masks: Masks,
    file: FeatureFile,
    network: PathLike | None,
    make: EngineFactory | None,
    changes: Mapping[str, Mapping[str, Any]],
    progress: Progress | None,
) -> dict[str, Features]:
    """`(images, dim)` of the plain view of every image, changed in each of these ways; each image is decoded once."""
    root, spec = images.manifest.root, file.spec
    digest = masks_digest(masks) if masks else None
    plain = replace(spec.view, count=1)
    views: dict[str, ViewSpec] = {
        name: replace(plain, **change, masks=digest if change.get("mask") else plain.masks)
        for name, change in changes.items()
    }
    where = find_again(spec, file.content.backbone, path=network)
    name = choose_engine("auto", where, spec, len(images.rows) * len(set(views.values())))
    engine = (make or find_engine(name))(where, spec, usual_batch(name), threads())
    told = named(progress, "changed images")
    found = variant_features(images.rows, root, list(views.values()), engine, told, masks=masks)
    return {name: found[view] for name, view in views.items()}


def _ways(images: _Images, masks: Masks) -> dict[str, dict[str, Any]]:
    """The mitigations that these images allow: only lungs can be left where nearly every image has a mask."""
    usable = sum(row.content_sha256 in masks and masks[row.content_sha256].problem is None for row in images.rows)
    masked = usable >= MASKED * len(images.rows)
    return {name: change for name, change in MITIGATIONS.items() if masked or change.get("mask") != "lungs"}


def _control_of(change: Mapping[str, Any]) -> dict[str, Any]:
    """A mitigation without the lungs; where they alone are left, they cannot be taken out, and the border is kept."""
    return {**change, **({"border_only": BORDER} if "mask" in change else {"mask": "outside"})}


def _without_lungs(name: str) -> str:
    return f"{name}, lungs out"


def _mitigation(images: _Images, name: str, told: Mapping[str, Probabilities]) -> Mitigation:
    scores, of_model = images.scores(told[_without_lungs(name)], told[name]), images.scores(told[name])
    return Mitigation(
        name=name,
        auroc=of_model["auroc"],
        auroc_ci=of_model["auroc_ci"],
        control=scores["auroc"],
        ratio=scores["ratio"],
        ratio_ci=scores["ratio_ci"],
    )


def _about_images(images: _Images, copies: Sequence[Copy]) -> list[Finding]:
    split = any(row.split is not None for row in images.rows)
    return [*check_sanity(images.rows, images.inspections), *check_copies(copies, split=split)]


def _about_controls(
    images: _Images,
    scored: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, Any] | None],
    look: str,
) -> Iterable[Finding | None]:
    yield images.unfolded
    if images.folds and CONTAINER not in scored:
        yield alike()
    for name, scores in scored.items():
        if not scores["judged"]:
            continue  # said once for all
        if name in REMEDY:
            yield check_outside(name, _SEEN[name], REMEDY[name], scores)
        else:
            yield check_control(name, _SEEN[name], look, scores)
    there = tested_groups(images.labels, images.groups, images.manifest.classes)
    made = metadata_columns(_metadata(images.rows)) if columns else {}
    for name, column in made.items():
        yield check_column(name, column, columns[name], there)


def _about_data(images: _Images, bad: Sequence[Quarantined]) -> list[Finding | None]:
    rows, classes, paths = images.rows, images.manifest.classes, [row.path for row in images.rows]
    known = np.array([row.patient is not None for row in rows])
    given = np.array([row.split is not None for row in rows])
    patients = [row.patient for row in rows]
    mixed = mixed_rows(rows)
    found = [
        images.strangers,
        *check_sources(_sources(images)),
        check_unknown(_metadata(rows), images.labels, classes),
        check_patients(known),
        check_mixed(mixed, len(set(patients) - {None}), paths),
        check_labels(images.labels, images.groups, known, paths),
        check_children(_ages(rows), images.labels, classes),
        check_quarantine(len(bad), len(rows)),
    ]
    if given.any():
        parts = np.array([row.split or NO_PART for row in rows], dtype="<U10")
        contents = [row.content_sha256 for row in rows]
        split = Split.of(parts, contents, images.labels, classes, by="column", seed=images.seed)
        found.append(check_split(split, images.groups))
    return found


def _sources(images: _Images) -> SourceTable:
    return SourceTable.of(images.labels, [row.source for row in images.rows], images.manifest.classes)


def _within(images: _Images, model: Probabilities) -> dict[str, Any]:
    rows, classes = images.tested, images.manifest.classes
    names = sorted({row.source for row in images.rows if row.source is not None})
    codes = np.array([-1 if row.source is None else names.index(row.source) for row in images.rows])
    return within_source(images.labels[rows], model, images.groups[rows], codes[rows], classes, seed=images.seed)


def _ages(rows: Sequence[ImageRow]) -> NDArray[np.float64]:
    return np.array([np.nan if row.age is None else row.age for row in rows], dtype=np.float64)


def _stored(file: FeatureFile, rows: Sequence[ImageRow]) -> Features:
    """`(images, dim)` of the plain views, in the order of the rows."""
    place = {sha: index for index, sha in enumerate(file.content_sha256)}
    return np.asarray(file.read()[:, 0][[place[row.content_sha256] for row in rows]], np.float32)

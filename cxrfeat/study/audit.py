"""The recipe of the whole audit: every image read once, and every question asked whose answer could void a score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.audit.container import container_of_rows, indicators
from cxrfeat.audit.control import check_control, check_outside, control_probabilities
from cxrfeat.audit.copies import check_copies, told_pairs
from cxrfeat.audit.people import check_children, check_labels, check_patients, metadata_features
from cxrfeat.audit.sanity import check_sanity
from cxrfeat.audit.short import CONTAINER, REMEDY, SEEN, THUMBNAIL, alike, check_quarantine, check_split, failed_first
from cxrfeat.audit.source import SourceTable, check_sources
from cxrfeat.backbone.choose import choose_engine, find_engine, usual_batch
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.cores import threads
from cxrfeat.errors import BadImageError, InputError
from cxrfeat.feature.compute import Progress, named
from cxrfeat.feature.store import FeatureFile
from cxrfeat.feature.variant import variant_features
from cxrfeat.files import write_atomic
from cxrfeat.given import PathLike
from cxrfeat.image.decode import decode, read_file
from cxrfeat.image.duplicate import Pair, find_duplicates
from cxrfeat.image.group import group
from cxrfeat.image.index import index_folder, require_classes
from cxrfeat.image.inspect import Inspection, inspect_images
from cxrfeat.image.mask import find_masks, masks_digest
from cxrfeat.image.picture import data_address
from cxrfeat.image.row import ImageRow, Manifest, Quarantined, Selection
from cxrfeat.image.split import folds
from cxrfeat.metric.shortcut import control_scores
from cxrfeat.metric.source import within_source
from cxrfeat.report.page import pictured, render_audit
from cxrfeat.spec import ViewSpec
from cxrfeat.study.pieces import Piece
from cxrfeat.types import Features, Finding, Groups, Labels, Probabilities, Status

BORDER = 0.12
"""Share of height and width at each side that the control "border only" keeps, and that the remedies take away: letters
lie in it, and little of the lungs."""

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
_LOOK = "Look at what differs between the classes, and see what helps: cxrfeat audit DATA --cache FILE --mitigate."


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
    duplicates: tuple[tuple[str, str], ...]
    """Paths of the copies."""
    mitigations: tuple[Mitigation, ...]
    quarantined: tuple[Quarantined, ...]

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
            "duplicates": [list(pair) for pair in self.duplicates],
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
    """Copies; all pairs that were found are in `groups`."""
    groups: Groups
    labels: Labels
    folds: tuple[Piece, ...]
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
        make_engine: Loads a network; for tests and other engines.
        progress: Told what is being done, how much of it, out of how much.

    Returns:
        Findings, failed ones first, and the figures behind them.

    Raises:
        InputError: If the data cannot be used, or the feature file holds too few of the images.
        SplitError: If a class has fewer groups than there are folds.
        WeightsError: If the network of the features is not there.
    """
    if mitigate and cache is None:
        raise InputError("--mitigate runs a network over changed images: name a feature file of it with --cache.")
    with ExitStack() as stack:
        file = stack.enter_context(FeatureFile(cache)) if cache is not None else None
        manifest = index_folder(data, selection or Selection(), progress=named(progress, "reading files"))
        require_classes(manifest)
        images, bad = _read(manifest, file, fold_count, seed, progress)
        controls = _pixel_controls(images)
        model, mitigations = None, tuple[Mitigation, ...]()
        if file is not None:
            model = images.probabilities(_stored(file, images.rows))
            ways = _ways(images) if mitigate else {}
            without = {_without_lungs(name): _control_of(change) for name, change in ways.items()}
            seen = _changed(images, file, network, make_engine, {**CONTROL_VIEWS, **ways, **without}, progress)
            told = {name: images.probabilities(features) for name, features in seen.items()}
            controls |= {name: told[name] for name in CONTROL_VIEWS}
            mitigations = tuple(_mitigation(images, name, told) for name in ways)
    scored = {name: images.scores(told, model) for name, told in controls.items()}
    findings = [*_about_images(images), *_about_controls(scored), *_about_data(images, bad)]
    if model is not None:
        scored[MODEL] = images.scores(model)
    paths = [row.path for row in images.rows]
    return AuditResult(
        images=len(images.rows),
        classes=manifest.classes,
        findings=tuple(failed_first(findings)),
        sources=_sources(images),
        within_source=None if model is None else _within(images, model),
        controls=scored,
        duplicates=tuple((paths[pair.one], paths[pair.other]) for pair in images.pairs),
        mitigations=mitigations,
        quarantined=tuple(bad),
    )


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
    inspected = inspect_images(manifest, named(progress, "looking at images"))
    bad = list(manifest.quarantined)
    rows, inspections, strangers = [], [], 0
    known = None if file is None else set(file.content_sha256)
    for row, one in zip(manifest.rows, inspected, strict=True):
        if isinstance(one, BadImageError):
            bad.append(Quarantined(path=row.path, stage=one.stage, reason=one.reason))
        elif known is None or row.content_sha256 in known:
            rows.append(row)
            inspections.append(one)
        else:
            strangers += 1
    if not rows or strangers > len(rows):
        where = "None of the images can be used" if file is None else f"{file.path} was made from other data"
        raise InputError(
            f"{where}: {len(rows)} of the {len(manifest.rows)} images in {manifest.root} are left to audit. "
            "Check the folder, and with --cache name the feature file of these images."
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
    dealt = folds(whole.labels, groups, manifest.classes, fold_count, seed, keys=keys)
    images = _Images(
        manifest=whole,
        rows=tuple(rows),
        inspections=tuple(inspections),
        pairs=told_pairs(pairs, [row.patient for row in rows]),
        groups=groups,
        labels=whole.labels,
        folds=tuple(
            Piece(name=f"fold {number}", train=train, validation=np.arange(0), test=test)
            for number, (train, test) in enumerate(dealt)
        ),
        seed=seed,
    )
    return images, bad


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
    texts = {name: np.array([getattr(row, name) or "" for row in images.rows]) for name in ("sex", "view_position")}
    seen |= metadata_features({"age": _ages(images.rows), **texts})
    return {name: images.probabilities(values) for name, values in seen.items() if values.shape[1]}


def _changed(
    images: _Images,
    file: FeatureFile,
    network: PathLike | None,
    make: EngineFactory | None,
    changes: Mapping[str, Mapping[str, Any]],
    progress: Progress | None,
) -> dict[str, Features]:
    """`(images, dim)` of the plain view of every image, changed in each of these ways; each image is decoded once."""
    root, spec = images.manifest.root, file.spec
    masks = find_masks(images.rows, root)
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


def _ways(images: _Images) -> dict[str, dict[str, Any]]:
    """The mitigations that these images allow: only lungs can be left where every image has a mask."""
    masked = all(row.mask is not None for row in images.rows)
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


def _about_images(images: _Images) -> list[Finding]:
    paths = [row.path for row in images.rows]
    copies = check_copies(images.pairs, images.labels, [row.split for row in images.rows], paths)
    return [*check_sanity(images.rows, images.inspections), *copies]


def _about_controls(scored: Mapping[str, Mapping[str, Any]]) -> Iterable[Finding]:
    if CONTAINER not in scored:
        yield alike()
    for name, scores in scored.items():
        if name in REMEDY:
            yield check_outside(name, _SEEN[name], REMEDY[name], scores)
        else:
            yield check_control(name, _SEEN[name], _LOOK, scores)


def _about_data(images: _Images, bad: Sequence[Quarantined]) -> list[Finding]:
    rows, classes = images.rows, images.manifest.classes
    known = np.array([row.patient is not None for row in rows])
    paths = [row.path for row in rows]
    given = [row.split for row in rows]
    found = [
        check_sources(_sources(images)),
        check_patients(known),
        check_labels(images.labels, images.groups, known, paths),
        check_children(_ages(rows), images.labels, classes),
        check_quarantine(len(bad), len(rows)),
    ]
    if all(part is not None for part in given):
        found.append(check_split(np.array(given), images.groups))
    return [one for one in found if one is not None]


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

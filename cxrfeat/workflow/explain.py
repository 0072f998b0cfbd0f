"""The recipe of explaining: images through a run's network and head, and where in them the class comes from."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import Network, find_again
from cxrfeat.errors import CxrFeatError, InputError, UsageError, WeightsError
from cxrfeat.explaining.averaged import AnyGraph, open_graph
from cxrfeat.explaining.explainer import NAMES, Explainer, Looked, method_for
from cxrfeat.explaining.graph import BATCH, Maps
from cxrfeat.explaining.heat import Evidence, Heat, Method, heat_of
from cxrfeat.explaining.images import (
    Candidate,
    Ready,
    folder_view,
    images_of_test,
    pixels_of,
    plain_view,
    readied,
    shown_name,
    some,
    spread,
)
from cxrfeat.explaining.judge import (
    Seen,
    border_of,
    check_border,
    check_corners,
    check_lungs,
    check_randomised,
    check_views,
    corners_of,
    correlation,
    rank_correlation,
    share,
)
from cxrfeat.explaining.place import FRAME, Placing, from_frame
from cxrfeat.explaining.score import scores, shuffled
from cxrfeat.finetuning.tuned import tuned_network
from cxrfeat.head.of_run import load_head
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import Lungs
from cxrfeat.image.row import Manifest, Quarantined, Selection
from cxrfeat.reporting.picture import framed, overlay, png, sheet, shrunk
from cxrfeat.reporting.table import RANDOM_WEIGHTS
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.system.files import check_writable, write_atomic
from cxrfeat.system.given import PathLike, as_path, as_paths
from cxrfeat.system.process import small_products, threads
from cxrfeat.types import Features, Finding, Groups, Progress, Status, Views, failed_first, named
from cxrfeat.workflow.predict import image_files

SHOWN = 12
"""Images with an overlay, unless told otherwise."""

PROBED = 24
"""Of these, images whose other views and whose randomised maps are looked at: a mean correlation is then known to
about 0.1."""

DRAWN = 3
"""Views of each, besides the plain one."""

HEADS = 3
"""Shuffled heads."""

TYPICAL = 6
"""Images shown as the most typical of a class."""

_TILE = 160

_OWN = re.compile(r"(\d{3,}|mean|typical)-[A-Za-z0-9._-]+\.png")
"""How the names of the pictures look: nothing else in a folder is ever removed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedImage:
    """One image, and where the class that is explained comes from in it."""

    image: str
    """Path as given, or relative to the data folder; its salted id where that was asked for."""
    path: Path
    true: str | None
    """Its label, where the data tell."""
    label: str
    """The class predicted from its plain view."""
    probabilities: dict[str, float]
    explained: str
    """The class whose evidence is shown."""
    score: float
    """What is explained: the logit of that class less the mean of all, or what stands for it (`explain.score`)."""
    method: Method
    evidence: NDArray[np.float32]
    """`(h, w)` at the resolution of the map: above 0 where it speaks for the class."""
    heat: Heat
    """`(h, w)` its positive part, from 0 to 1; all 0 where nothing speaks for the class."""
    placing: Placing
    """Lays the heat over the image, or any smaller picture of it."""
    size: tuple[int, int]
    """Height and width of the image."""
    group: str
    """Its patient's salted id, where the run knows it."""
    lungs: Lungs
    """`(64, 64)` over the image: its mask, or the template."""
    masked: bool
    """Whether that is a mask of its own."""
    written: Path | None = None
    """The overlay with colour bar and text."""

    @property
    def right(self) -> bool | None:
        """Whether the prediction is right; `None` where nobody knows."""
        return None if self.true is None else self.label == self.true

    @property
    def peak(self) -> tuple[float, float] | None:
        """Middle of the hottest cell, `(x, y)` in pixels of the image; `None` without heat."""
        return self.placing.peak(self.heat, self.size) if self.heat.any() else None

    def frame(self) -> NDArray[np.float32]:
        """The heat at `(64, 64)` over the image, so that heat of different images can be averaged."""
        return self.placing.lay(self.heat, FRAME)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the JSON document."""
        frame, seen = self.frame(), self.placing.seen(FRAME)
        return {
            "image": self.image,
            "true": self.true,
            "label": self.label,
            "probabilities": self.probabilities,
            "explained": self.explained,
            "score": round(self.score, 4),
            "method": self.method,
            "peak": None if self.peak is None else [round(place, 1) for place in self.peak],
            "width": self.size[1],
            "height": self.size[0],
            "in_lungs": _number(share(frame, self.lungs)),
            "lungs_area": _number(float(self.lungs[seen].mean())),
            "lungs_by": "mask" if self.masked else "template",
            "in_border": _number(share(frame, border_of(FRAME))),
            "heat": [[round(float(value), 4) for value in row] for row in self.heat],
            "overlay": None if self.written is None else self.written.name,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassMean:
    """The heat of all images for which one class was explained."""

    images: int
    frame: NDArray[np.float32]
    """`(64, 64)` mean heat over the image, each image counting alike, 1 at the hottest place."""
    heat: NDArray[np.float32]
    """`(size, size)` the same over the plain view."""
    picture: NDArray[np.uint8]
    """`(size, size)` mean of the plain views."""
    in_lungs: float | None
    in_border: float | None
    written: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """Everything one call found."""

    run: Run
    method: Method
    images: tuple[ExplainedImage, ...]
    """Those with an overlay."""
    findings: tuple[Finding, ...]
    """Verdicts on the heat, failed ones first; empty where single images were named."""
    means: dict[str, ClassMean]
    typical: dict[str, tuple[ExplainedImage, ...]]
    """For each class, in the order of the run, the images with the highest score for it, of those predicted as it."""
    judged: int
    """Images behind the verdicts."""
    quarantined: tuple[Quarantined, ...]
    total: int
    """Images named, or in the folder: with those that cannot be used."""
    notes: tuple[str, ...]
    random: bool
    """Whether the network has random weights."""
    out: Path | None
    sheets: dict[str, Path] = field(default_factory=dict)
    """For each class that has any, the picture of its typical images."""

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed."""
        return [finding for finding in self.findings if finding.status is Status.FAIL]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `explain`."""
        return {
            "run": self.run.name,
            "head": self.run.info.get("head"),
            "backbone": self.run.info.get("backbone"),
            "method": self.method,
            "random_weights": self.random,
            "images": [one.to_dict() for one in self.images],
            "failed_checks": self.run.failed_checks,
            "checks": [asdict(one) for one in self.findings],
            "judged": self.judged,
            "classes": {
                name: {
                    "images": mean.images,
                    "in_lungs": mean.in_lungs,
                    "in_border": mean.in_border,
                    "mean_heat": [[round(float(value), 3) for value in row] for row in mean.frame[2::4, 2::4]],
                    "picture": None if mean.written is None else mean.written.name,
                }
                for name, mean in self.means.items()
            },
            "typical": {
                name: [{"image": one.image, "score": round(one.score, 4), "true": one.true} for one in some]
                for name, some in self.typical.items()
            },
            "typical_pictures": {name: path.name for name, path in self.sheets.items()},
            "quarantined": [asdict(one) for one in self.quarantined],
            "notes": list(self.notes),
            "out": None if self.out is None else str(self.out),
        }


def explain(
    run: RunLike,
    images: PathLike | Iterable[PathLike] = (),
    *,
    data: PathLike | None = None,
    target: str | None = None,
    count: int = SHOWN,
    method: str = "auto",
    out: PathLike | None = None,
    checks: bool = True,
    network: PathLike | None = None,
    runs: PathLike = "runs",
    selection: Selection | None = None,
    redact: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Explained:
    """Show which places of images speak for a class, and judge whether they are where they should be.

    Args:
        run: Of a head, or fine-tuned: a run, its name or an unambiguous beginning of it, or its folder.
        images: Files, or folders of them; one or many.
        data: In place of `images`, the data folder of the run: some of its test images are shown, right and wrong ones
            of each class, and heat is judged: that of up to 400 test images, or with occlusion (all that a
            `knn` head allows) of those shown.
        target: The class to explain; the predicted one of each image unless given.
        count: Test images to show; only with `data`.
        method: `auto`, `cam`, `gradcam`, `gradcam++` or `occlusion`.
        out: Folder for the overlays and `explain.json`, in place of those of an earlier call; `None` writes nothing.
        checks: Judge the heat; only with `data`.
        network: Where the network's file is, if it is no longer where it was.
        runs: Folder in which the run's name is looked for.
        selection: Which images of `data` to read, and how folders are read.
        redact: Name images by their salted ids.
        seed: Of which test images are shown, and of the randomised weights.
        progress: Told after every batch.

    Returns:
        Heat at the resolution of the maps, verdicts, and the paths of what was written.

    Raises:
        InputError: If a path, the class or the data cannot be used.
        UsageError: If the method does not go with the head or the network, or images and data are both given.
        IntegrityError: If the run is damaged.
        WeightsError: If the network is no longer there.
        StorageError: If `out` cannot be written.
    """
    (made,) = explain_together(
        [find_run(run, runs=runs)],
        images,
        data=data,
        target=target,
        count=count,
        method=method,
        out=out,
        checks=checks,
        network=network,
        selection=selection,
        redact=redact,
        seed=seed,
        progress=progress,
    )
    if isinstance(made, CxrFeatError):
        raise made
    return made


@small_products()  # beside a network that takes all cores
def explain_together(
    runs: Sequence[Run],
    images: PathLike | Iterable[PathLike] = (),
    *,
    data: PathLike | None = None,
    manifest: Manifest | None = None,
    target: str | None = None,
    count: int = SHOWN,
    method: str = "auto",
    out: PathLike | None = None,
    checks: bool = True,
    network: PathLike | None = None,
    selection: Selection | None = None,
    redact: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Explained | CxrFeatError]:
    """`explain` for several runs: each image is decoded once, and seen once by each network that any of them shares.

    What a run gives does not depend on the others. `manifest` is that of `data`, where it has been read already; `out`
    goes with one run; all else is as in `explain`.

    Returns:
        For each run what was found, or why there is nothing.
    """
    images = as_paths(images, "an image or a folder of images")
    if bool(images) == (data is not None):
        raise UsageError("Name images, or the data folder of the run with `data`: one of the two.")
    if count < 1:
        raise UsageError(f"`count` is test images to show, at least 1; got {count}.")
    selection = selection or Selection()
    paths, unopened = image_files(images, selection)
    if out is not None:
        out = as_path(out, "the folder for the pictures")
        check_writable(out)
    identity = Identity.load() if redact else None
    bad = [replace(one, path=shown_name(one.path, identity)) for one in unopened]
    if data is not None and manifest is None:
        manifest = index_folder(data, selection, progress=named(progress, "reading files"))
    graphs: dict[tuple[FeatureSpec, Network], AnyGraph] = {}
    jobs: list[_Job | CxrFeatError] = []
    for run in runs:
        try:
            job = _job(run, paths, bad, manifest, selection, identity, target, count, seed, method, network, graphs)
            job.looked_at = some(job.tested, job.shown, seed) if checks and job.tested and job.cheap else job.shown
            jobs.append(job)
        except (InputError, UsageError, WeightsError) as error:
            jobs.append(error)
    together: dict[tuple[int, ViewSpec], list[_Job]] = {}
    for one in jobs:
        if isinstance(one, _Job):
            together.setdefault((id(one.explainer.graph), one.view), []).append(one)
    judged = checks and data is not None
    for group in together.values():
        _look(group, target, progress)
        probed = [job for job in group if judged and job.cheap and job.found]
        if probed:
            _probe(probed, seed, progress)
    made = [
        one if isinstance(one, CxrFeatError) else _made(one, out, judged=judged, named=data is None) for one in jobs
    ]
    return [_write(one, out, progress) if out is not None and isinstance(one, Explained) else one for one in made]


@dataclass(kw_only=True, eq=False)
class _Job:
    """One run that is being explained."""

    run: Run
    explainer: Explainer
    view: ViewSpec
    shown: list[Candidate]
    tested: list[Candidate]
    bad: list[Quarantined]
    total: int
    notes: list[str]
    looked_at: list[Candidate] = field(default_factory=list)
    found: list[ExplainedImage] = field(default_factory=list)
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Of the plain views, for each class explained."""
    probed: list[Finding] = field(default_factory=list)

    @property
    def cheap(self) -> bool:
        """Whether it is explained by other means than occlusion, which takes a hundred passes for each image."""
        return self.explainer.method != "occlusion"


def _job(
    run: Run,
    paths: Sequence[Path],
    bad: Sequence[Quarantined],
    manifest: Manifest | None,
    selection: Selection,
    identity: Identity | None,
    target: str | None,
    count: int,
    seed: int,
    method: str,
    network: PathLike | None,
    graphs: dict[tuple[FeatureSpec, Network], AnyGraph],
) -> _Job:
    head, novelty, spec, name = load_head(run)
    if target is not None:
        _class(target, head.classes)
    total, notes = len(paths) + len(bad), list[str]()
    if manifest is None:
        view = plain_view(run, spec, None)
        shown = [Candidate(name=shown_name(str(path), identity), path=path) for path in paths]
        tested: list[Candidate] = []
    else:
        view, masks = folder_view(run, spec, manifest, selection)
        tested, notes = images_of_test(run, manifest, masks, identity)
        shown = spread(tested, head.classes, count, seed)
        if not shown:
            labels = ", ".join(sorted({one.label or "none" for one in tested}))
            raise InputError(
                f"Nothing in {manifest.root} can be shown: its labels are {labels}; the run knows "
                f"{', '.join(head.classes)}. Name the data folder as the run saw it, or single images."
            )
        bad = [replace(one, path=shown_name(one.path, identity)) for one in manifest.quarantined]
        total = len(manifest.rows) + len(bad)
    which = spec, find_again(spec, name, path=network or tuned_network(run))
    if which not in graphs:
        graphs[which] = open_graph(which[1], spec)
    graph = graphs[which]
    if run.info.get("tta"):
        notes.append("This run predicts by the mean over views; shown and explained is the plain view alone.")
    return _Job(
        run=run,
        explainer=Explainer(graph=graph, head=head, mean=novelty.mean, method=method_for(method, head, graph)),
        view=view,
        shown=shown,
        tested=tested,
        bad=list(bad),
        total=total,
        notes=notes,
    )


def _made(job: _Job, out: Path | None, *, judged: bool, named: bool) -> Explained | CxrFeatError:
    """What a job has come to."""
    found, classes = job.found, job.explainer.head.classes
    if not found:
        told = "; ".join(f"{one.path}: {one.reason}" for one in job.bad[-len(job.looked_at) :][:3])
        return InputError(f"None of the {len(job.looked_at)} images can be used ({told}). Check the files.")
    findings = [*_judged(found, classes), *job.probed] if judged else []
    notes = [*job.notes, *(_judged_on(found, len(job.tested), cheap=job.cheap) if judged else ())]
    wanted = {one.path for one in job.shown}
    order = {one.path: (one.label or "", place if named else 0, one.name) for place, one in enumerate(job.shown)}
    return Explained(
        run=job.run,
        method=job.explainer.method,
        images=tuple(sorted((one for one in found if one.path in wanted), key=lambda one: order[one.path])),
        findings=tuple(failed_first(findings)),
        means=_means(found, job.sums) if judged else {},
        typical=_typical(found, classes) if judged else {},
        judged=len(found) if judged else 0,
        quarantined=tuple(job.bad),
        total=job.total,
        notes=tuple(notes),
        random=job.explainer.graph.network.random,
        out=out,
    )


def _class(target: str, classes: Sequence[str]) -> str:
    if target in classes:
        return target
    by_case = {name.casefold(): name for name in classes}
    near = difflib.get_close_matches(target.casefold(), by_case, n=1)
    hint = f" Did you mean {by_case[near[0]]}?" if near else ""
    raise InputError(f"The run knows no class {target!r}.{hint} Its classes are {', '.join(classes)}.")


def caption(image: ExplainedImage) -> str:
    """What an overlay says of its image.

    The probability is that of the plain view, of the class explained and, where it is another, of the one predicted.
    """
    said = f"predicted {image.label} {image.probabilities[image.label]:.2f}"
    if image.explained != image.label:
        said += f", {image.explained} {image.probabilities[image.explained]:.2f}"
    if image.true is not None:
        said += f" - right, it is {image.true}" if image.right else f" - wrong, it is {image.true}"
    return said


def _union(each: Iterable[Sequence[Candidate]]) -> list[Candidate]:
    """The images of several runs, each once."""
    return list({one.path: one for images in each for one in reversed(images)}.values())[::-1]


def _look(jobs: Sequence[_Job], target: str | None, progress: Progress | None) -> None:
    """Explain the images of runs that share a network and a view."""
    graph, view = jobs[0].explainer.graph, jobs[0].view
    union = _union(job.looked_at for job in jobs)
    places = [{one.path: place for place, one in enumerate(job.looked_at)} for job in jobs]
    done = 0
    for part in readied(union, view, named(progress, "explaining")):
        images = union[done : done + len(part)]
        done += len(part)
        for job, wanted in zip(jobs, places, strict=True):
            job.bad += [
                one
                for one, image in zip(part, images, strict=True)
                if isinstance(one, Quarantined) and image.path in wanted
            ]
        good = [one for one in part if isinstance(one, Ready)]
        for start in range(0, len(good), BATCH):  # maps are large
            _look_at(good[start : start + BATCH], graph, jobs, places, target)
    for job, wanted in zip(jobs, places, strict=True):
        job.found.sort(key=lambda one: wanted[one.path])  # called at once


def _look_at(
    few: Sequence[Ready],
    graph: AnyGraph,
    jobs: Sequence[_Job],
    places: Sequence[Mapping[Path, int]],
    target: str | None,
) -> None:
    views = np.concatenate([one.views for one in few])
    maps, features = graph.run(views)
    for job, wanted in zip(jobs, places, strict=True):
        rows = [row for row, one in enumerate(few) if one.candidate.path in wanted]
        if rows:
            at = _of_all(rows, few)
            _take(job, [few[row] for row in rows], job.explainer.judged(views[at], maps[at], features[at]), target)


def _of_all(rows: list[int], few: Sequence[object]) -> slice | list[int]:
    """Some rows as an index, which copies no maps where they are all."""
    return slice(None) if len(rows) == len(few) else rows


def _take(job: _Job, good: Sequence[Ready], looked: Looked, target: str | None) -> None:
    """Keep where the class comes from in some images."""
    explainer, classes = job.explainer, job.explainer.head.classes
    predicted = looked.probabilities.argmax(axis=1).astype(np.int64)
    wanted = predicted if target is None else np.full(len(good), classes.index(_class(target, classes)), np.int64)
    evidence = explainer.evidence(looked, wanted)
    score = scores(explainer.head, looked.features)
    for row, one in enumerate(good):
        name = classes[int(wanted[row])]
        job.sums[name] = job.sums.get(name, np.zeros(one.views.shape[1:])) + one.views[0]
        job.found.append(
            ExplainedImage(
                image=one.candidate.name,
                path=one.candidate.path,
                true=one.candidate.label,
                label=classes[int(predicted[row])],
                probabilities=dict(zip(classes, looked.probabilities[row].tolist(), strict=True)),
                explained=name,
                score=float(score[row, wanted[row]]),
                method=explainer.method,
                evidence=evidence[row],
                heat=heat_of(evidence[row]),
                placing=Placing(fields=explainer.fields, view=job.view),
                size=one.size,
                group=one.candidate.group,
                lungs=one.lungs,
                masked=one.masked,
            )
        )


def _judged(found: Sequence[ExplainedImage], classes: tuple[str, ...]) -> list[Finding]:
    border, corners = border_of(FRAME), corners_of(FRAME)
    frames = [one.frame() for one in found]
    views = [one.placing.seen(FRAME) for one in found]

    def of_heat(regions: Iterable[NDArray[np.bool_]]) -> NDArray[np.float64]:
        return np.array([share(frame, region) for frame, region in zip(frames, regions, strict=True)])

    def of_area(regions: Iterable[NDArray[np.bool_]]) -> NDArray[np.float64]:
        return np.array([float(region[view].mean()) for region, view in zip(regions, views, strict=True)])

    lungs = [one.lungs for one in found]
    seen = Seen(
        classes=classes,
        explained=np.array([classes.index(one.explained) for one in found], np.int64),
        groups=_groups(found),
        lungs=of_heat(lungs),
        lungs_area=of_area(lungs),
        border=of_heat([border] * len(found)),
        border_area=of_area([border] * len(found)),
        corners=np.stack([of_heat([one] * len(found)) for one in corners], axis=1),
        corner_area=np.stack([of_area([one] * len(found)) for one in corners], axis=1),
    )
    return [check_corners(seen), check_lungs(seen, masked=sum(one.masked for one in found)), check_border(seen)]


def _groups(found: Sequence[ExplainedImage]) -> Groups:
    """Whose images these are; one without a patient stands for itself."""
    _, groups = np.unique([one.group or one.image for one in found], return_inverse=True)
    return groups.astype(np.int64)


def _judged_on(found: Sequence[ExplainedImage], tested: int, *, cheap: bool) -> list[str]:
    """What is to be said of the images behind the verdicts."""
    notes = []
    if len(found) < tested:
        right = sum(bool(one.right) for one in found)
        how = "drawn by chance" if cheap else "those shown"
        notes.append(
            f"Judged on {len(found)} of {tested} test images, {how}: {right} predicted right and "
            f"{len(found) - right} wrong."
        )
    if not cheap:
        notes.append(
            "Agreement of views and randomised weights were not checked: occlusion takes a hundred passes through the "
            "network for each map, and these checks take seven more of each image."
        )
    return notes


def _probe(jobs: Sequence[_Job], seed: int, progress: Progress | None) -> None:
    """Two checks that look at some images again: in other views, and with what was learnt taken away."""
    graph, view = jobs[0].explainer.graph, replace(jobs[0].view, count=1 + DRAWN)
    items = [{one.path: one for one in job.found[:PROBED]} for job in jobs]
    again = _union(
        [one for one in job.looked_at if one.path in probed] for job, probed in zip(jobs, items, strict=True)
    )
    heads: list[list[Explainer]] = []
    for job in jobs:
        rng = np.random.default_rng(seed)  # for each its own, so that a run's figures are its own
        heads.append([replace(job.explainer, head=shuffled(job.explainer.head, rng)) for _ in range(HEADS)])
    agreement: list[list[float]] = [[] for _ in jobs]
    alike: list[list[list[float]]] = [[[] for _ in range(HEADS)] for _ in jobs]
    kept: list[list[ExplainedImage]] = [[] for _ in jobs]
    plain_views: dict[Path, Views] = {}
    for part in readied(again, view, named(progress, "other views")):
        good = [one for one in part if isinstance(one, Ready)]  # all could be read a moment ago
        for one in good:
            maps, features = graph.run(one.views)
            plain_views[one.candidate.path] = one.views[:1].copy()  # a part would keep the others
            for number, job in enumerate(jobs):
                item = items[number].get(one.candidate.path)
                if item is None:
                    continue
                index = np.full(view.count, job.explainer.head.classes.index(item.explained), np.int64)
                evidence = job.explainer.evidence(job.explainer.judged(one.views, maps, features), index)
                placings = [replace(item.placing, params=params) for params in one.params]
                agreement[number].append(_agreement(evidence, placings))
                for head, found in zip(heads[number], alike[number], strict=True):
                    found += _alike(head, [item], one.views[:1], maps[:1], features[:1])
                kept[number].append(item)
    if not plain_views:
        return
    heads.clear()  # before a second network is made
    graph.shuffle(rng)  # all heads on one network are as wide, and have drawn as much
    try:
        networks = _shuffled_network(jobs, plain_views, kept)
    finally:
        graph.restore()
    for job, agreed, of_heads, of_network, those in zip(jobs, agreement, alike, networks, kept, strict=True):
        if those:
            groups = _groups(those)
            by_head = float(np.mean([np.mean(found) for found in of_heads]))
            randomised = check_randomised(by_head, of_network, len(np.unique(groups)))
            job.probed += [check_views(np.array(agreed), groups), randomised]


def _agreement(evidence: Evidence, placings: Sequence[Placing]) -> float:
    """Mean correlation of the drawn views' evidence with the plain view's, where both show the image."""
    laid = [placing.lay(map_, FRAME) for placing, map_ in zip(placings, evidence, strict=True)]
    seen = [placing.seen(FRAME) for placing in placings]
    each = [correlation(laid[0], other, seen[0] & there) for other, there in zip(laid[1:], seen[1:], strict=True)]
    return float(np.mean(each))


def _shuffled_network(
    jobs: Sequence[_Job], plain_views: Mapping[Path, Views], kept: Sequence[Sequence[ExplainedImage]]
) -> list[float | None]:
    """How alike the maps of each run stay where the network is shuffled; `None` where it overflows, or has none."""
    graph, paths = jobs[0].explainer.graph, list(plain_views)
    wanted = [{one.path: one for one in those} for those in kept]
    alike: list[list[float]] = [[] for _ in jobs]
    for start in range(0, len(paths), BATCH):  # maps are large
        few = paths[start : start + BATCH]
        views = np.concatenate([plain_views[path] for path in few])
        maps, features = graph.run(views)
        if not (np.isfinite(maps).all() and np.isfinite(features).all()):
            return [None for _ in jobs]
        for job, items, found in zip(jobs, wanted, alike, strict=True):
            rows = [row for row, path in enumerate(few) if path in items]
            if rows:
                at = _of_all(rows, few)
                found += _alike(job.explainer, [items[few[row]] for row in rows], views[at], maps[at], features[at])
    return [float(np.mean(found)) if found else None for found in alike]


def _alike(
    explainer: Explainer, items: Sequence[ExplainedImage], views: Views, maps: Maps, features: Features
) -> list[float]:
    """How alike the maps of something that has learnt nothing are to those of some images."""
    index = np.array([explainer.head.classes.index(one.explained) for one in items], np.int64)
    evidence = explainer.evidence(explainer.judged(views, maps, features), index)
    return [abs(rank_correlation(one.evidence, other)) for one, other in zip(items, evidence, strict=True)]


def _means(found: Sequence[ExplainedImage], sums: Mapping[str, NDArray[np.float64]]) -> dict[str, ClassMean]:
    made = {}
    for name in sorted(sums):
        items = [one for one in found if one.explained == name]
        frames = [frame / frame.sum() for frame in (one.frame() for one in items) if frame.any()]
        mean = np.mean(frames, axis=0) if frames else np.zeros(FRAME)
        lungs = np.mean([one.lungs for one in items], axis=0)
        frame = heat_of(mean.astype(np.float32))
        made[name] = ClassMean(
            images=len(items),
            frame=frame,
            heat=from_frame(frame, items[0].placing.view),
            picture=np.rint(sums[name] / len(items)).astype(np.uint8),
            in_lungs=_number(share(mean, lungs > 0.5)),
            in_border=_number(share(mean, border_of(FRAME))),
        )
    return made


def _typical(found: Sequence[ExplainedImage], classes: Sequence[str]) -> dict[str, tuple[ExplainedImage, ...]]:
    return {
        name: tuple(sorted((one for one in found if one.explained == one.label == name), key=lambda one: -one.score))[
            :TYPICAL
        ]
        for name in classes
    }


def _write(made: Explained, out: Path, progress: Progress | None) -> Explained:
    tell, total = named(progress, "drawing"), len(made.images)

    def draw(number: int, one: ExplainedImage) -> ExplainedImage:
        place = out / f"{number:03d}-{file_name(PurePosixPath(one.image).stem)}-{file_name(one.explained)}.png"
        grey = pixels_of(one.path)
        write_atomic(place, png(framed(overlay(grey, one.placing.lay(one.heat, grey.shape)), _lines(made, one))))
        return replace(one, written=place)

    images = []
    with ThreadPoolExecutor(max_workers=threads(), thread_name_prefix="draw") as pool:
        for done, one in enumerate(pool.map(draw, range(1, total + 1), made.images), start=1):
            images.append(one)
            if tell:
                tell(done, total)
    # Numbered: names that differ in other letters only, such as two in Chinese, clean to the same.
    files = {name: f"{number:02d}-{file_name(name)}.png" for number, name in enumerate(made.typical, start=1)}
    means = {}
    for name, mean in made.means.items():
        place = out / f"mean-{files[name]}"
        lines = [f"mean heat for {name} over {mean.images} images", f"{NAMES[made.method]}; research use only"]
        write_atomic(place, png(framed(overlay(mean.picture, mean.heat), lines)))
        means[name] = replace(mean, written=place)
    sheets = {}
    for name, best in made.typical.items():
        if best:
            tiles = [shrunk(pixels_of(one.path), _TILE) for one in best]
            told = [f"{one.probabilities[name]:.3f} {one.true or ''}" for one in best]
            sheets[name] = out / f"typical-{files[name]}"
            write_atomic(
                sheets[name], png(sheet(tiles, told, columns=3, title=f"highest score for {name}: probability, label"))
            )
    made = replace(made, images=tuple(images), means=means, sheets=sheets)
    _clear(out, made)
    write_atomic(out / "explain.json", (json.dumps(made.to_dict(), indent=1, allow_nan=False) + "\n").encode())
    return made


def _clear(out: Path, made: Explained) -> None:
    """Removes the pictures that an earlier call wrote here and this one did not: they would be taken for its own."""
    try:
        before = json.loads((out / "explain.json").read_bytes())
        names = set(_pictures(before))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, or not one of ours: touch nothing
        return
    for name in names - set(_pictures(made.to_dict())):
        if isinstance(name, str) and _OWN.fullmatch(name) and (out / name).is_file():
            (out / name).unlink(missing_ok=True)


def _pictures(document: Mapping[str, Any]) -> list[str]:
    """The names of the pictures that a document speaks of."""
    named = [one["overlay"] for one in document["images"]] + [one["picture"] for one in document["classes"].values()]
    return [name for name in (*named, *document.get("typical_pictures", {}).values()) if name is not None]


def _lines(made: Explained, one: ExplainedImage) -> list[str]:
    lines = [caption(one), f"{NAMES[made.method]} for {one.explained}; research use only"]
    if not one.heat.any():
        lines[1] = f"{NAMES[made.method]}: nothing speaks for {one.explained}; research use only"
    return [*lines, RANDOM_WEIGHTS] if made.random else lines


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def file_name(text: str) -> str:
    """A text as part of a file's name, safe for any file system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:60] or "x"

"""One run that is to be explained: its network, its head, and the images that are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import Network
from cxrfeat.errors import InputError
from cxrfeat.explaining.averaged import AnyGraph, open_graph
from cxrfeat.explaining.explained import ExplainedImage
from cxrfeat.explaining.explainer import Explainer, method_for
from cxrfeat.explaining.images import (
    Candidate,
    folder_view,
    images_of_test,
    plain_view,
    salted,
    shown_name,
    some,
    spread,
)
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.head.of_run import load_head
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import Manifest, Quarantined, Selection
from cxrfeat.run.folder import Run
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.system.given import PathLike, nearest
from cxrfeat.types import Finding

SHOWN = 12
"""Images with an overlay, by default."""

Graphs = dict[tuple[FeatureSpec, Network], AnyGraph]
"""The networks that are open, each for all runs that share it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What is asked of every run alike: of which images, for which class, and how."""

    manifest: Manifest | None = None
    """Of the data folder, of which test images are taken; `None` where single images are named."""
    files: Sequence[Path] = ()
    """The single images."""
    unopened: Sequence[Quarantined] = ()
    """Of these, the ones that could not even be opened."""
    selection: Selection = Selection()  # noqa: RUF009  # frozen
    """Which images of the data folder the manifest holds."""
    target: str | None = None
    """The class to explain; `None` is the predicted one of each image."""
    count: int = SHOWN
    """Test images to show."""
    method: str = "auto"
    checks: bool = True
    """Judge the heat of test images."""
    network: PathLike | None = None
    """Where the network's file is, if it is no longer where it was."""
    identity: Identity | None = None
    """Names the images; `None` leaves their paths."""
    seed: int = 0
    """Of which test images are shown, and of the randomised weights."""

    @property
    def judged(self) -> bool:
        """Whether there are verdicts."""
        return self.checks and self.manifest is not None


@dataclass(kw_only=True, eq=False)
class Job:
    """One run that is being explained."""

    run: Run
    explainer: Explainer
    view: ViewSpec
    shown: list[Candidate]
    tested: list[Candidate]
    looked_at: list[Candidate]
    bad: list[Quarantined]
    total: int
    notes: list[str]
    found: list[ExplainedImage] = field(default_factory=list)
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Of the plain views, for each class explained."""
    probed: list[Finding] = field(default_factory=list)

    @property
    def cheap(self) -> bool:
        """Whether it is explained by other means than occlusion, which takes a hundred passes for each image."""
        return self.explainer.method != "occlusion"


def job_of(run: Run, question: Question, graphs: Graphs) -> Job:
    """What is to be done for a run; its network is opened unless it is among `graphs`.

    Raises:
        InputError: If the class or the data cannot be used.
        UsageError: If the method does not go with the head or the network.
        IntegrityError: If the run is damaged.
        WeightsError: If the network is no longer there.
    """
    head, novelty = load_head(run)
    spec = run.document.features.spec
    if question.target is not None:
        _check_class(question.target, head.classes)
    identity, notes, tested = question.identity, list[str](), list[Candidate]()
    if question.manifest is None:
        view = plain_view(run, spec, None)
        shown = [Candidate(name=shown_name(str(path), identity), path=path) for path in question.files]
        unused, there = question.unopened, len(question.files)
    else:
        manifest = question.manifest
        view, masks = folder_view(run, spec, manifest, question.selection)
        tested, notes = images_of_test(run, manifest, masks, identity)
        shown = spread(tested, head.classes, question.count, question.seed)
        if not shown:
            labels = ", ".join(sorted({one.label or "none" for one in tested}))
            raise InputError(
                f"Nothing in {manifest.root} can be shown: its labels are {labels}; the run knows "
                f"{', '.join(head.classes)}. Name the data folder as the run saw it, or single images."
            )
        unused, there = manifest.quarantined, len(manifest.rows)
    which = spec, network_of(run, question.network)
    if which not in graphs:
        graphs[which] = open_graph(which[1], spec)
    graph = graphs[which]
    if run.document.tta:
        notes.append("This run predicts by the mean over views; shown and explained is the plain view alone.")
    job = Job(
        run=run,
        explainer=Explainer(graph=graph, head=head, mean=novelty.mean, method=method_for(question.method, head, graph)),
        view=view,
        shown=shown,
        tested=tested,
        looked_at=shown,
        bad=salted(unused, identity),
        total=there + len(unused),
        notes=notes,
    )
    if question.judged and job.cheap:
        job.looked_at = some(tested, shown, question.seed)
    return job


def _check_class(target: str, classes: Sequence[str]) -> None:
    if target in classes:
        return
    meant = nearest(target, classes)
    raise InputError(f"The run knows no class {target!r}.{meant} Its classes are {', '.join(classes)}.")

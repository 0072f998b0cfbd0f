"""Fine-tuned runs as backbones: their network, how it reads pixels, and the split that it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrfeat.backbone.model_file import SUFFIXES
from cxrfeat.backbone.network import ONNX_SUFFIX, Network, find_again
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import InputError, IntegrityError, UsageError
from cxrfeat.feature.split import Split
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import Manifest
from cxrfeat.image.split import NO_PART, digest
from cxrfeat.run.folder import NETWORK, AnyRun, Run, all_runs, find_run, read_run
from cxrfeat.run.record import digest8
from cxrfeat.run.table import SplitRows
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.system.given import PathLike
from cxrfeat.types import Labels, Part


def tuned_network(run: AnyRun) -> Path | None:
    """The network that a fine-tuned run brings with it; `None` for a head on a frozen one.

    Raises:
        IntegrityError: If it is missing.
    """
    return run.path_of(NETWORK) if NETWORK in run.files else None


def network_of(run: AnyRun, path: PathLike | None = None) -> Network:
    """The network whose features a run's head takes.

    Args:
        run: Run of a head, or fine-tuned.
        path: Where the user says the network is, if it is no longer where it was.

    Raises:
        WeightsError: If it cannot be found, or what is at `path` is another network.
        IntegrityError: If the run lacks its own.
    """
    document = run.document
    return find_again(document.features.spec, document.backbone, path=path or tuned_network(run))


def find_tuned(name: str, runs: Path) -> Run | None:
    """The fine-tuned run that a backbone's name means; `None` if it is no run's.

    Args:
        name: As the user typed it: a run's folder, its name, or an unambiguous beginning of it.
        runs: Folder of the runs.

    Raises:
        InputError: If it is a run of another kind, or the beginning of several.
    """
    if not name or name in TABLE or name == SCRATCH or name.lower().endswith((*SUFFIXES, ONNX_SUFFIX)):
        return None
    if (Path(name) / "run.json").is_file():
        run = read_run(Path(name))
    elif any(path.name.startswith(name) for path in all_runs(runs)):
        run = find_run(name, runs=runs)
    else:
        return None
    if tuned_network(run) is None:
        raise InputError(
            f"{run.name} is a head on a frozen network ({run.document.backbone}), which has no network of its own. "
            "Name that network, or a run of `cxrfeat finetune`."
        )
    return run


def tuned_features(run: Run, view: ViewSpec) -> tuple[Network, FeatureSpec]:
    """The network of a fine-tuned run, and how its features are made.

    Args:
        run: From `find_tuned`.
        view: How many views are drawn, and with which seed; all else is as the network was tuned.

    Raises:
        UsageError: If the view asks for other images than the network was tuned on.
    """
    document = run.document
    spec = document.features.spec
    began = "_from_random" if document.random_weights else ""  # so that every table after this one says so
    name = f"{document.backbone}{began}_{digest8(document.identity)}"
    asked, plain = replace(view, size=16, count=1, seed=0), ViewSpec(size=16, count=1)
    if asked not in (plain, replace(spec.view, size=16, count=1, seed=0, masks=view.masks)):
        raise UsageError(
            f"{run.name} was tuned on images changed in its own way, and its features are made the same way: omit the "
            "options of views, except `views`."
        )
    spec = replace(spec, view=replace(spec.view, count=view.count, seed=view.seed))
    return find_again(spec, name, path=tuned_network(run)), spec


def _rows_of(run: Run) -> SplitRows:
    """The part of each image, of a run with one test part.

    Raises:
        IntegrityError: If it is not the split that the run was made with.
    """
    rows = run.split()
    same = digest(np.array(rows.parts), rows.contents) == run.document.split.sha256
    if not same or not set(rows.parts) <= {*Part, NO_PART}:
        raise IntegrityError(f"{run.name} holds another split than the one it was made with. Make the run again.")
    return rows


def split_of(run: Run, contents: Sequence[str], labels: Labels, classes: Sequence[str]) -> Split | None:
    """The split of a run with one test part, for the very images that it was made of; `None` if these are others.

    Copies of one content may lie in several parts of a torn split. Which of them lies where is known by their order; in
    another order, by none being apart.

    Args:
        run: The run.
        contents: SHA-256 of each image's bytes.
        labels: `(images,)` class indices.
        classes: Class names.

    Raises:
        IntegrityError: If the run is damaged.
    """
    then = _rows_of(run)
    parts: Sequence[str] = then.parts
    if list(then.contents) != list(contents):
        pairs = list(zip(then.contents, then.parts, strict=True))
        part = dict(pairs)
        if len(set(pairs)) > len(part) or not set(contents) <= part.keys():
            return None
        parts = [part[sha] for sha in contents]
    stored = run.document.split
    return Split.of(
        np.array(parts, dtype="<U10"), contents, labels, classes,
        by=stored.by, seed=stored.seed, regrouped=stored.regroup,
    )  # fmt: skip


_SEEN_FIRST = (Part.TRAIN.value, Part.VALIDATION.value, Part.TEST.value, NO_PART)


def seen_split(run: Run, manifest: Manifest, identity: Identity) -> Split | None:
    """The split that the network has seen, as it parts these images; `None` if it has seen none of them.

    An image that is new since then is in no part. One that could not be used when the network was tuned counts as one
    to train on, whatever became of it, and so does a content of which a copy was trained on.

    Args:
        run: From `find_tuned`.
        manifest: The images.
        identity: Identity of this user, by whose ids the run knows the images that could not be used.

    Raises:
        IntegrityError: If the run is damaged.
    """
    finetune, rows = run.document.finetune, _rows_of(run)
    unusable = set(() if finetune is None else finetune.unusable)
    pairs = zip(rows.contents, rows.parts, strict=True)
    told = sorted(pairs, key=lambda pair: _SEEN_FIRST.index(pair[1]), reverse=True)
    part = dict(told)  # of copies the one that comes last here: the most seen
    if all(part.get(row.content_sha256, NO_PART) == NO_PART for row in manifest.rows):
        return None
    named = [
        part.get(row.content_sha256, Part.TRAIN.value if identity.image_id(row.path) in unusable else NO_PART)
        for row in manifest.rows
    ]
    contents = [row.content_sha256 for row in manifest.rows]
    return Split.of(np.array(named, dtype="<U10"), contents, manifest.labels, manifest.classes, by="bound", seed=0)

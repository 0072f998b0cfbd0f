"""Fine-tuned runs as backbones: their network, how it reads pixels, and the split that it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import Network, find_again, is_model_path
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import InputError, IntegrityError, SpecError, UsageError
from cxrfeat.image.row import Manifest
from cxrfeat.run import Run, all_runs, digest8, find_run, read_run
from cxrfeat.spec import FeatureSpec, ViewSpec, feature_spec
from cxrfeat.study.predict import tuned_network
from cxrfeat.types import Part


def find_tuned(name: str, runs: Path) -> Run | None:
    """The fine-tuned run that a backbone's name means; `None` if it is no run's.

    Args:
        name: As the user typed it: a run's folder, its name, or an unambiguous beginning of it.
        runs: Folder of the runs.

    Raises:
        InputError: If it is a run of another kind, or the beginning of several.
    """
    if (Path(name) / "run.json").is_file():
        run = read_run(Path(name))
    elif name in TABLE or name == SCRATCH or is_model_path(name):
        return None
    elif any(path.name.startswith(name) for path in all_runs(runs)):
        run = find_run(runs, name)
    else:
        return None
    if tuned_network(run) is None:
        raise InputError(
            f"{run.name} is a head on a frozen network ({run.info.get('backbone')}), which has no network of its own. "
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
        IntegrityError: If the run is damaged.
    """
    try:
        spec = feature_spec(run.info["features"]["spec"])
        name = f"{run.info['backbone']}_{digest8(run.info['identity'])}"
    except (KeyError, TypeError, SpecError) as error:
        raise IntegrityError(f"{run.path / 'run.json'} is damaged ({error}). Fine-tune again.") from error
    asked, plain = replace(view, size=16, count=1, seed=0), ViewSpec(size=16, count=1)
    if asked not in (plain, replace(spec.view, size=16, count=1, seed=0, masks=view.masks)):
        raise UsageError(
            f"{run.name} was tuned on images changed in its own way, and its features are made the same way: leave the "
            "options of views away, but for --views."
        )
    spec = replace(spec, view=replace(spec.view, count=view.count, seed=view.seed))
    return find_again(spec, name, path=tuned_network(run)), spec


def seen_split(run: Run, manifest: Manifest) -> NDArray[np.str_] | None:
    """The part of each image in the split that the network has seen; `None` if it has seen none of them.

    Raises:
        InputError: If it has seen some of them, and others are new.
        IntegrityError: If the run is damaged.
    """
    table = run.table("split.csv")
    try:
        part = dict(zip(table["content_sha256"], table["part"], strict=True))
    except (KeyError, ValueError) as error:
        raise IntegrityError(f"{run.path / 'split.csv'} is damaged ({error}). Fine-tune again.") from error
    parts = _parts([part.get(row.content_sha256) for row in manifest.rows])
    new = int(np.count_nonzero(parts == ""))
    if new == len(parts):
        return None
    if new:
        raise InputError(
            f"{new} of the {len(parts)} images are in no part of the split that {run.name} was tuned on, so it cannot "
            "be said on which side they belong. Extract features of the same images, or of new ones alone."
        )
    return parts


def _parts(named: Sequence[str | None]) -> NDArray[np.str_]:
    known = set(Part)
    return np.array([part if part in known else "" for part in named], dtype="<U10")

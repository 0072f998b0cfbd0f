"""Another hospital made of numbers: feature files of one network, and a run that was fitted on the first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.auditing.elsewhere import Outside
from cxrfeat.auditing.outside import judge
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import SeenImage
from cxrfeat.head.of_run import load_head
from cxrfeat.run.folder import Run
from cxrfeat.run.validation import Validation
from cxrfeat.workflow.fit_head import fit
from tests.workflow.helpers import CLASSES, make_features

DIM = 8


def features_at(path: Path, groups: int, seed: int, *, shift: float = 0.0, **more: Any) -> Path:
    """Two images of each patient; classes lie where they lie at home, and all images are shifted together."""
    rng = np.random.default_rng(seed)
    classes = more.get("classes", CLASSES)
    y = np.repeat(np.arange(len(classes)), 2 * groups)
    # Each class along an axis of its own; the shift is along the last, which no class is told by.
    centres = 1.2 * np.eye(DIM)[: len(classes)]
    # Far from 0, as what a network gives after its last activation.
    X = 6 + centres[y] + rng.normal(size=(len(y), DIM)) + shift * np.eye(DIM)[-1]
    return make_features(
        path, groups=groups, seed=seed, features=X[:, None].astype(np.float32), views=1, dim=DIM, **more
    )


@dataclass(frozen=True)
class Home:
    """Where a run was made."""

    folder: Path
    file: Path
    run: Run


def home_in(folder: Path, **more: Any) -> Home:
    """A run of logistic regression on the features of a hospital."""
    file = features_at(folder / "features" / "home.h5", 60, 0, **more)
    return Home(folder, file, fit(file, "logreg", runs=folder / "runs").runs[0])


def judged(home: Home, other: Path, seen: tuple[SeenImage, ...] = (), **asked: Any) -> tuple[Validation, Outside]:
    """What is said of the run on other features."""
    head, novelty = load_head(home.run)
    with FeatureFile(other) as file, FeatureFile(home.file) as own:
        given: dict[str, Any] = {"renamed": {}, "looked_for": ("bytes", "pixels", "patients"), "own": own} | asked
        return judge(home.run, head, novelty, file, seen=seen, **given)

"""Other hospitals made of numbers, for runs that tell a number or all findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.auditing.outside_target import judge_target, names_elsewhere
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import SeenImage
from cxrfeat.head.saying import target_saying
from cxrfeat.run.folder import TargetRun
from cxrfeat.run.target_validation import FindingsValidation, NumberValidation
from tests.workflow.helpers import make_features

DIM = 6


def hospital(
    path: Path, seed: int, *, patients: int = 120, older: float = 0.0, loud: float = 1.0, number: str = "dose"
) -> Path:
    """Two images of each patient; a number and two findings are in the features, with `loud` times the noise."""
    rng = np.random.default_rng(seed)
    images = 2 * patients
    features = rng.normal(size=(images, 1, DIM)).astype(np.float32)
    dose = 50 + 10 * features[:, 0, 2] + 3 * loud * rng.normal(size=images) + older
    findings = {}
    for place, name in enumerate(("Mass", "Edema")):
        odds = 2.5 * features[:, 0, place] - 0.5 + loud * rng.normal(size=images)
        findings[name] = np.where(rng.random(images) < 0.1, -2, odds > 0).tolist()
    known = [None if index % 10 == 0 else float(value) for index, value in enumerate(dose)]
    return make_features(
        path, classes=("unlabelled",), groups=patients, views=1, dim=DIM, seed=seed, features=features,
        findings=findings, kept={number: known},
    )  # fmt: skip


def tried(
    run: TargetRun,
    home: Path,
    away: Path,
    renamed: Mapping[str, str] | None = None,
    seen: tuple[SeenImage, ...] = (),
    **more: Any,
) -> NumberValidation | FindingsValidation:
    """What is said of a run on other features."""
    with FeatureFile(away) as other, FeatureFile(home) as own:
        theirs = names_elsewhere(run, "away", [*other.finding_names, *other.kept_columns], renamed or {})
        asked: dict[str, Any] = {"own": own, "looked_for": ("bytes",), "renamed": renamed or {}} | more
        return judge_target(run, target_saying(run), other, theirs=theirs, seen=seen, **asked)

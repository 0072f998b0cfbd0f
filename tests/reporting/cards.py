"""A model card of a run that was fitted on features made from numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cxrfeat.feature.column import Cut
from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting.card import card_of
from cxrfeat.reporting.subgroup import in_subgroups
from cxrfeat.run.folder import Run
from cxrfeat.workflow.fit_head import fit
from tests.workflow.helpers import make_features

MODEL = {
    "file": "model.onnx",
    "format": "onnx",
    "bytes": 9_000_000,
    "sha256": "ab" * 32,
    "outputs": ["`probabilities`"],
}
ELSEWHERE = {
    "data": "outside",
    "external": {"accuracy": 0.6, "accuracy_ci": [0.5, 0.7], "auroc": 0.7, "auroc_ci": None, "images": 40},
    "gap": {"accuracy": 0.2, "accuracy_ci": [0.1, 0.3], "auroc": 0.1, "auroc_ci": [0.0, 0.2]},
}


def fitted(folder: Path) -> tuple[Run, Path]:
    """A run in `runs`, and its features."""
    file = make_features(
        folder / "features" / "set.h5", classes=("COVID", "NORMAL"), groups=20, dates=["2020-01-02"] * 80
    )
    return fit(file, ["logreg"], name="one", runs=folder / "runs").runs[0], file


def card_with_everything(folder: Path) -> dict[str, Any]:
    """With features, subgroups and a validation at hand."""
    run, path = fitted(folder)
    rows = in_subgroups([run], [Cut("source")], path.parent).rows
    with FeatureFile(path) as file:
        return card_of(run, MODEL, file=file, subgroups=rows, validations=[ELSEWHERE], notes=["A word."])

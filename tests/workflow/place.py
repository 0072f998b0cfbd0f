"""A folder in which a small network is fine-tuned on phantoms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrfeat.run.folder import Run
from cxrfeat.spec import FinetuneSpec, HeadSpec
from cxrfeat.workflow.extract import Extraction, extract
from cxrfeat.workflow.finetune import finetune
from cxrfeat.workflow.fit_head import FitResult, fit

SPEC = FinetuneSpec(head=HeadSpec(kind="softmax", epochs=2, batch=8, optimizer="adam", learning_rate=1e-3, patience=5))
LAST = replace(SPEC, head=replace(SPEC.head, patience=None))
COLD = replace(LAST, head=replace(LAST.head, epochs=0))
"""Nothing is trained."""


class Place:
    """A folder with features, runs, and a network."""

    def __init__(self, folder: Path, data: Path, network: Path) -> None:
        self.data, self.network, self.folder = data, str(network), folder
        self.features, self.runs = folder / "features", folder / "runs"

    def extract(self, **options: Any) -> Extraction:
        wanted: dict[str, Any] = {"backbone": self.network, "preprocess": "tf", "views": 3} | options
        if wanted["backbone"] != self.network:
            del wanted["preprocess"]
        return extract(self.data, features=self.features, runs=self.runs, **wanted)

    def head(self, kind: str = "logreg", **options: Any) -> Run:
        path = self.extract().files[0].path
        return fit(path, [HeadSpec(kind=kind, epochs=3)], runs=self.runs, **options).runs[0]  # type: ignore[arg-type]  # kinds by name

    def finetune(self, **options: Any) -> FitResult:
        given: dict[str, Any] = {"spec": SPEC, "features": self.features, "runs": self.runs} | options
        if not {"head_from", "cache", "backbone"} & options.keys():
            given |= {"backbone": self.network, "preprocess": "tf"}
        return finetune(given.pop("data", self.data), **given)

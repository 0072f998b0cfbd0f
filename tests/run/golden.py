"""Runs that were written once, to be read for good, and to take whole documents from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrfeat.run.document import Evaluation, RunDocument
from cxrfeat.run.folder import Run, read_run
from cxrfeat.run.record import from_json, to_json

DATA = Path(__file__).parents[1] / "data"
GOLDEN = sorted(path for path in DATA.glob("run-v*") if path.is_dir())


def golden(name: str) -> Run:
    """`logreg`, `dropout`, `tuned-folds` or `finetune`."""
    return read_run(DATA / f"run-v1-{name}")


def document(**changes: Any) -> RunDocument:
    """That of a logistic regression, with some fields changed."""
    return replace(golden("logreg").document, **changes)


def evaluation(**changes: Any) -> Evaluation:
    """Of the images that tested that, with some values changed, as they stand in JSON; of its source a few alone."""
    told = to_json(golden("logreg").document.test)
    within = told["within_source"] | changes.pop("within_source", {})
    return from_json(Evaluation, {**told, **changes, "within_source": within})

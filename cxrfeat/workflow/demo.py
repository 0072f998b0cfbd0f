"""The recipe of the demonstration: every stage on a phantom set, with nothing downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.weights import list_weights
from cxrfeat.call import PYTHON, Words
from cxrfeat.errors import IntegrityError
from cxrfeat.image.index import index_folder, summary
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import phantoms_written, write_phantoms
from cxrfeat.reporting.audit_page import write_page
from cxrfeat.spec import MAIN_KINDS, HeadSpec
from cxrfeat.types import Progress, named
from cxrfeat.workflow.audit import audit
from cxrfeat.workflow.compare import compare
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.predict import predict
from cxrfeat.workflow.report import report as write
from cxrfeat.workflow.verify import verify

BACKBONE = "densenet121"
VIEWS = 3
SHOWN = 6
"""Test images whose predictions are shown."""
EXPLAINED = 1
"""Runs with heat maps in the report."""
PHANTOMS = PhantomSpec(patients_per_class=30, duplicates=4, broken=2, letters="random")

Stage = Callable[[str, dict[str, Any]], None]
"""Called after each stage with its name and what its command would print as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Where everything is."""

    data: Path
    features: Path
    runs: Path
    report: Path
    document: dict[str, Any]
    """The JSON document of `fit-head`, with `report`."""


def demo(
    out: Path,
    *,
    seed: int = 0,
    views: int = VIEWS,
    size: int | None = None,
    phantoms: PhantomSpec = PHANTOMS,
    make_engine: EngineFactory | None = None,
    words: Words = PYTHON,
    tell: Stage | None = None,
    progress: Progress | None = None,
) -> Demo:
    """Make phantoms, index, audit, extract, fit every head, compare, predict, verify, and write a report.

    The network has its ImageNet weights if they are on this machine already, else random ones.

    Args:
        out: Folder for everything; a second call with the same arguments finds what the first made, the report too
            (delete it to have it written again).
        seed: Of views, weights, splits and heads.
        views: Views per image.
        size: Height and width of the views in pixels; `None` is the network's own.
        phantoms: The data set.
        make_engine: Loads a network.
        words: How the pages say what to do.
        tell: Called after each stage.
        progress: Called as the work proceeds.

    Raises:
        StorageError: If the disk refuses.
        IntegrityError: If a feature file does not verify.
    """

    def done(stage: str, document: dict[str, Any]) -> None:
        if tell:
            tell(stage, document)

    data, features, runs = out / "data", out / "features", out / "runs"
    report, page = out / "report.html", out / "audit.html"
    if not phantoms_written(data, phantoms):
        write_phantoms(data, phantoms, named(progress, "phantoms"))
    done("index", summary(index_folder(data, decode_all=True)))
    found = audit(data, seed=seed, progress=progress).to_dict()
    done("audit", found)
    write_page(page, found, data, words)
    ready = any(row["backbone"] == BACKBONE and row["state"] == "ready" for row in list_weights())
    made = extract(
        data,
        backbone=BACKBONE,
        weights="imagenet" if ready else "random",
        views=views,
        size=size,
        seed=seed,
        features=features,
        make_engine=make_engine,
        progress=progress,
    )
    file = made.files[0]
    done("extract", {"files": [file.to_dict()]})
    heads = [HeadSpec(kind=kind, seed=seed) for kind in MAIN_KINDS]
    fitted = fit(file.path, heads, runs=runs, seed=seed, progress=progress)
    document = fitted.to_dict()
    done("fit-head", document)
    compared = compare(fitted.runs, seed=seed)
    done("compare", compared.to_dict())
    told = compared.runs[0].predictions()
    tested = {told.contents[row] for row in told.tested}
    unseen = [data / row.path for row in made.manifest.rows if row.content_sha256 in tested]
    some = unseen[:: max(1, len(unseen) // SHOWN)][:SHOWN]
    done("predict", predict(compared.runs[0], some, features=features, make_engine=make_engine).to_dict())
    if problems := verify(file.path):
        raise IntegrityError(f"{file.path}: {problems[0]}. Delete it and run the demo again.")
    done("verify", {"ok": True, "problems": []})
    # Heat maps take most of a minute, so a page of these very runs, written after them, is left as it is.
    newest = max((run.path / "run.json").stat().st_mtime for run in fitted.runs)
    if not (all(fitted.reused) and report.is_file() and report.stat().st_mtime > newest):
        write(
            fitted.runs,
            out=report,
            data=data,
            features=features,
            explained=EXPLAINED,
            seed=seed,
            title="cxrfeat demo: phantom chest X-rays",
            words=words,
            progress=progress,
        )
    return Demo(data=data, features=file.path, runs=runs, report=report, document={**document, "report": str(report)})

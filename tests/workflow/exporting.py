"""A small network as an ONNX file, features by it, and heads on them: what is exported, made once for all tests."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit


def make_runs(folder: Path, *kinds: str) -> Path:
    """Runs of these heads, named after them, in `runs`; their features in `features`, images in `data`."""
    import onnx

    from tests.backbone.onnx_bodies import SIZE, convolutional

    write_phantoms(folder / "data", PhantomSpec(classes=("COVID", "FLU", "NORMAL"), patients_per_class=6, size=64))
    onnx.save(convolutional(), str(folder / "small.onnx"))
    made = extract(
        folder / "data", backbone=folder / "small.onnx", preprocess="tf", size=SIZE, views=2, engine="onnx",
        features=folder / "features",
    )  # fmt: skip
    for kind in kinds:
        head = HeadSpec(kind=kind, epochs=2)  # type: ignore[arg-type]  # one of them
        fit(made.files[0].path, [head], name=kind, runs=folder / "runs")
    return folder

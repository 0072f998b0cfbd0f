"""What pages are made of, of made-up features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.reporting.content import Heat, HeatPicture, MeanHeat, ReportContent
from cxrfeat.reporting.picture import jpeg_address
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.report import report
from tests.workflow.helpers import make_features


def content(folder: Path, *, heads: Sequence[HeadKind] = ("logreg", "softmax"), **options: Any) -> ReportContent:
    path = make_features(folder / "features" / "f.h5", sources=["A", "A", "B", "B"] * 20, pictures=True, **options)
    runs = fit(path, [HeadSpec(kind=kind) for kind in heads], runs=folder / "runs").runs
    return report(runs, out=folder / "report.html", features=folder / "features").content


def heat(name: str = "a.png", *, predicted: str = "COVID") -> Heat:
    address = jpeg_address(np.zeros((16, 16), np.uint8))
    picture = HeatPicture(
        label="COVID", predicted=predicted, probability=0.75, image=address, overlay=address, caption=name
    )
    failed = {"check": "hot corner", "status": "fail", "value": 1.0, "why": "It is a letter.", "do": "Remove it."}
    mean = MeanHeat(label="COVID", images=1, image=address, overlay=address)
    return Heat(
        method="Grad-CAM",
        pictures=(picture,),
        means=(mean,),
        findings=(failed,),
        judged=1,
        tested=1,
        chosen="",
        notes=("A note.",),
    )


def with_heat(made: ReportContent, told: Heat) -> ReportContent:
    (data,) = made.data
    return replace(made, data=(replace(data, runs=(replace(data.runs[0], heat=told), *data.runs[1:])),))

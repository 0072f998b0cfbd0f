"""A validation of a run on a data set that there is not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from cxrfeat.metric.gap import gap
from cxrfeat.run.document import Evaluation
from cxrfeat.run.folder import Run
from cxrfeat.run.record import digest8, from_json, to_json
from cxrfeat.run.validation import CalibrationLines, Gap, Seen, Unlike, Validation


def some(run: Run, **changes: Any) -> Validation:
    document = run.document
    test = Evaluation(**{one.name: getattr(document.test, one.name) for one in fields(Evaluation)})
    by_class = dict.fromkeys(document.classes)
    lines = CalibrationLines(
        slope=by_class, slope_ci=by_class, intercept=by_class, intercept_ci=by_class, ece=0.1, ece_ci=None,
        log_loss=1.0, log_loss_ci=None, images=9, groups=8,
    )  # fmt: skip
    told = Validation(
        identity=digest8(document.identity), dataset="else where", data_sha256="0" * 64, features="1" * 64,
        classes=document.classes, renamed={"No Finding": document.classes[0]}, lacking=(), additional={"FLU": 3},
        counts=dict.fromkeys(document.classes, 4), seen=(Seen(image_id="2" * 32, how="same bytes", part="train"),),
        looked_for=("bytes",), internal=test, external=test,
        gap=from_json(Gap, gap(to_json(test), to_json(test))), calibration=lines, recalibrated=None,
        out_of_distribution=Unlike(share=0.5, share_ci=(0.25, 0.75), at_home=None, at_home_ci=None), apart={},
        sources=None, by_source=(), subgroups=(), subgroup_gaps=(), audit=(), notes=(),
        made="2026-11-28",
    )  # fmt: skip
    return replace(told, **changes)

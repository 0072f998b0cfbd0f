"""The calls that make runs and pages again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cxrfeat.call import Call
from cxrfeat.reporting.asked import Asked
from cxrfeat.reporting.place import USUAL
from cxrfeat.run.document import Finetuning, SplitRecord
from cxrfeat.run.folder import AnyRun, Run


def run_call(run: Run) -> Call | None:
    """What makes a run of `fit` or `finetune` again; `None` for other runs, and those that images were left out of.

    It names the feature file, not where it lies.
    """
    document, split = run.document, run.document.split
    if document.finetune is not None:
        return _finetune_call(document.finetune, split)
    head = document.identity.head
    if head is None or head.seed != split.seed or split.by == "bound" or document.excluded:
        return None
    identity = document.identity
    fields: dict[str, Any] = {} if identity.target == "label" else {"target": identity.target}
    fields |= {} if identity.uncertain == "ignore" else {"uncertain": identity.uncertain}
    fields |= {"classes": list(identity.classes)} if identity.classes else {}
    fields |= {"balance_by": list(identity.balance_by)} if identity.balance_by else {}
    if split.by == "folds":
        fields |= {"fold_count": split.folds} | ({"repeats": split.repeats} if split.repeats > 1 else {})
    elif split.by == "source-out":
        fields |= {"source_out": True}
    else:
        fields |= {"split_by": split.by} | ({"regroup_given": True} if split.regroup else {})
    fields |= ({"tta": True} if document.tta else {}) | {"seed": split.seed}
    return Call("fit", (f"features/{document.features.file}", head), fields)


def _finetune_call(about: Finetuning, split: SplitRecord) -> Call:
    fields: dict[str, Any] = {}
    if about.head_from is not None:
        fields |= {"head_from": about.head_from}
    else:
        fields |= {"cache": f"features/{about.file}", "warm": None}
        fields |= {} if split.by == "bound" else {"split_by": split.by}
        fields |= {"regroup_given": True} if split.regroup else {}
    return Call("finetune", ("DATA",), fields | {"spec": about.spec, "seed": about.spec.head.seed})


def report_call(runs: Sequence[AnyRun], out: Path, asked: Asked) -> Call:
    """What makes a page again; places of this machine by their last part, for the page may go anywhere."""
    fields: dict[str, Any] = {"data": "DATA"} if asked.data is not None else {}
    if asked.data is not None:  # the page may go anywhere: of a place its last part
        fields |= {name: _last_parts(value) for name, value in asked.reading.items()}
    fields |= {} if asked.images else {"images": False}
    fields |= {"redact": True} if asked.redact else {}
    fields |= {"seed": asked.seed}
    fields |= {"sizes": list(asked.sizes), "wanted_width": asked.wanted_width} if asked.sizes else {}
    fields |= {"projection": asked.method} if asked.method != "pca" else {}
    told = {"network": asked.network, "out": out, "features": asked.features, "folder": runs[0].path.parent}
    usual = {"out": USUAL, "features": "features", "folder": "runs"}
    for field, place in told.items():
        if place is not None:
            outside = asked.redact or place.is_absolute() or ".." in place.parts
            shown = place.name if outside else place.as_posix()
            fields |= {field: shown} if shown != usual.get(field) else {}
    return Call("report", ([run.name for run in runs],), fields)


def _last_parts(value: object) -> object:
    if isinstance(value, Path):
        return Path(value.name)
    return tuple(map(_last_parts, value)) if isinstance(value, tuple) else value

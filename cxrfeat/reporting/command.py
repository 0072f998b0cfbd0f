"""The commands that make runs and pages again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cxrfeat.reporting.place import USUAL
from cxrfeat.run.folder import Run, csv_cell
from cxrfeat.spec import HeadSpec


def run_command(run: Run) -> str | None:
    """The command that makes a run of `fit-head` or `finetune` again; `None` for other runs.

    The page names the feature file, not where it lies.
    """
    info = run.info
    if info.get("kind") == "finetune":
        return _finetune_command(info)
    identity, split = info.get("identity") or {}, info.get("split") or {}
    head = identity.get("head")
    if info.get("kind") != "head" or not head or head.get("seed") != split.get("seed") or split.get("by") == "bound":
        return None
    words = ["cxrfeat", "fit-head", f"features/{info['features']['file']}", "--head", head["kind"]]
    for field in fields(HeadSpec):
        value = head.get(field.name, field.default)
        if field.name in ("kind", "seed") or value == field.default:
            continue
        option = field.name.replace("_", "-")
        listed = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words += [f"--{option}" if value else f"--no-{option}"] if isinstance(value, bool) else [f"--{option}", listed]
    for name in identity.get("classes") or ():
        words += ["--classes", csv_cell(name)]
    by = split.get("by")
    if by == "folds":
        words += ["--folds", str(split["folds"])] + (["--repeats", str(split["repeats"])] if "repeats" in split else [])
    elif by == "source-out":
        words.append("--source-out")
    else:
        words += ["--split-by", str(by)] + (["--regroup"] if split.get("regroup") else [])
    words += ["--tta"] if info.get("tta") else []
    return shlex.join([*words, "--seed", str(split["seed"])])


_TUNED_OPTIONS = (
    "epochs", "batch", "optimizer", "learning_rate", "schedule", "momentum", "patience", "class_weights",
    "label_smoothing",
)  # fmt: skip
"""Fields of the head's protocol that `finetune` takes as options."""


def _finetune_command(info: Mapping[str, Any]) -> str:
    """Every setting as an option, so that it does not matter from which recipe they came."""
    about, spec = info["finetune"], info["finetune"]["spec"]
    head = spec["head"]
    words = ["cxrfeat", "finetune", "DATA"]
    if about["head_from"] is not None:
        words += ["--head-from", about["head_from"]]
    else:
        words += ["--cache", f"features/{about['file']}", "--cold", "--head", head["kind"]]
        words += [] if info["split"]["by"] == "bound" else ["--split-by", info["split"]["by"]]
        words += ["--regroup"] if info["split"].get("regroup") else []
    values = {name: head[name] for name in _TUNED_OPTIONS}
    values |= {"patience": head["patience"] or 0, "clip": spec["clip"] or 0}
    values |= {name: spec[name] for name in ("batchnorm", "freeze_until", "precision") if spec[name] is not None}
    for name, value in values.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    words.append("--calibrate" if head["calibrate"] else "--no-calibrate")
    return shlex.join([*words, "--seed", str(head["seed"])])


def report_command(
    runs: Sequence[Run],
    *,
    out: Path,
    features: Path,
    network: Path | None,
    pictured: bool,
    images: bool,
    redact: bool,
    method: str,
    seed: int,
) -> str:
    """The command that makes a page again; places of this machine by their last part, for the page may go anywhere."""
    words = ["cxrfeat", "report", *(run.name for run in runs)]
    words += ["--data", "DATA"] if pictured else []
    words += ["--no-images"] if not images else []
    words += ["--redact"] if redact else []
    words += ["--seed", str(seed)]
    words += ["--map", method] if method != "pca" else []
    told = {"--network": network, "--out": out, "--features": features, "--runs": runs[0].path.parent}
    usual = {"--out": USUAL, "--features": "features", "--runs": "runs"}
    for option, place in told.items():
        if place is not None:
            outside = redact or place.is_absolute() or ".." in place.parts
            shown = place.name if outside else place.as_posix()
            words += [option, shown] if shown != usual.get(option) else []
    return shlex.join(words)

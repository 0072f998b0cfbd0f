"""A model card as Markdown, for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cxrfeat.reporting.subgroup_table import SMALL, subgroup_table
from cxrfeat.reporting.table import NO_ENDS, RANDOM_WEIGHTS, WHY_NO_ENDS, number, with_interval
from cxrfeat.system.check import size_text

_SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "calibration error",
}


def card_page(card: Mapping[str, Any], code: str) -> str:
    """The card as Markdown.

    Args:
        card: From `card_of`.
        code: From `code_of`.
    """
    model, test = card["model"], card["test"]
    parts = [
        f"# {inline(card['name'])}: model card",
        f"**{card['use']}** It is not a medical device.",
        f"**{RANDOM_WEIGHTS}.**" if model["random_weights"] else "",
        _verdict(card),
        "## What it is",
        bullets(
            [
                f"{inline(model['file'])} ({model['format']}, {size_text(model['bytes'])}, SHA-256 {model['sha256']})",
                f"takes `view`: (images, {model['size']}, {model['size']}, 1) uint8, grey, bone bright",
                *(f"gives {one}" for one in model["outputs"]),
                f"classes, in this order: {', '.join(inline(name) for name in model['classes'])}",
                f"network {inline(model['network'])}, weights {inline(model['network_weights'])}",
                f"head {model['head']}, temperature {model['temperature']:.4g}",
            ]
        ),
        "## What to do to an image first",
        numbered(model["steps"]),
        f"```python\n{code}\n```",
        "## What it is for",
        bullets(card["intended_use"]),
        "## What it is not for",
        bullets(card["unintended_use"]),
        "## The images it was made and tested with",
        _data(card["data"]),
        "## How they were split",
        _split(card["split"], card["data"]),
        "## How well it does on the images that test",
        table(("score", "value [95 % interval over patients or groups]"), _scores(test)),
        table(("class", "sensitivity", "specificity", "precision", "AUROC"), _classes(test)),
        f"{WHY_NO_ENDS}."
        if any(NO_ENDS in score for _, *scores in _scores(test) + _classes(test) for score in scores)
        else "",
        _within(test["within_source"]),
        "## In subgroups",
        _subgroups(card),
        "## Elsewhere",
        _elsewhere(card["validations"]),
        "## What its audit says",
        table(
            ("verdict", "check", "why"),
            [(one["status"], one["check"], one["why"]) for one in card["audit"]],
        )
        or "Nothing.",
        "## What else to know",
        bullets(card["notes"]) or "Nothing.",
        "## Where it comes from",
        table(("what", "value"), [*card["hashes"].items(), *card["versions"].items()]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(card: Mapping[str, Any]) -> str:
    failed = [one["check"] for one in card["audit"] if one["status"] == "fail"]
    if failed:
        return f"**Its audit failed ({', '.join(failed)}): the scores below may not be about the disease.**"
    return "" if card["validations"] else "It was tested on images of its own data set only, and nowhere else."


def _data(data: Mapping[str, Any]) -> str:
    counted = table(
        ("part", "class", "source", "images", "patients or groups"),
        [(one["part"], one["class"], one["source"], one["images"], one["groups"]) for one in data["counts"]],
    )
    lines = [
        f"data set {inline(data['dataset'])}: {data['images']} images of {data['groups']} patients or groups "
        f"({data['known']})",
        f"{data['excluded_by_hand']} images left out by hand",
    ]
    if "unusable" in data:
        unusable = ", ".join(f"{count} at {stage}" for stage, count in data["unusable"].items())
        lines.append(f"files that could not be used: {unusable or 'none'}")
        lines.append(f"images whose patient is known: {data['known_patients']}")
        lines.append("known of the images: " + ", ".join(f"{name} of {n}" for name, n in data["columns"].items()))
    else:
        lines.append("the feature file was not at hand, so that the images to train on are not counted here")
    return "\n\n".join(filter(None, (bullets(lines), counted)))


def _split(split: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    how = {
        "group": "by patients and copies: images of one patient, and copies of an image, are in one part",
        "date": "by date: the newest images test",
        "column": "as the data set's own column has it",
        "paper": "image by image, as the paper did it, WHICH LETS PATIENTS BE IN SEVERAL PARTS",
        "bound": "as the network had seen it",
        "folds": "in folds by patients and copies, each tested in turn",
        "source-out": "by sources, each tested in turn",
    }
    lines = [how.get(split["by"], split["by"]), f"seed {split['seed']}, digest {split['sha256']}"]
    if not split["itself_tested"]:
        lines.append("the model was fitted on all images afterwards and is not itself tested")
    if split["tta"]:
        lines.append("tested with the mean over several views of an image")
    return bullets(lines)


def _scores(test: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [(title, with_interval(test[name], test[f"{name}_ci"])) for name, title in _SCORES.items()]


def _classes(test: Mapping[str, Any]) -> list[tuple[str, ...]]:
    names = ("sensitivity", "specificity", "precision", "auroc_per_class")
    return [
        (one, *(with_interval(test[name][one], test[f"{name}_ci"][one]) for name in names)) for one in test["classes"]
    ]


def _within(within: Mapping[str, Any]) -> str:
    if not within["images"]:
        return "No source has images of several classes, so that nothing can be said within sources."
    return (
        f"Within sources that have several classes ({within['images']} images): accuracy "
        f"{with_interval(within['accuracy'], within['accuracy_ci'])}, where naming the commonest class of each source "
        f"reaches {number(within['chance'])}."
    )


def _subgroups(card: Mapping[str, Any]) -> str:
    if not card["subgroups"]:
        return "Nothing that is known of the images divides them: no sex, age, view position or second source."
    shown = subgroup_table(card["subgroups"], card["name"])
    title = "\n".join(line.replace(SMALL, f"\\{SMALL}", 1) + "\\" for line in shown.title.split("\n"))
    return "\n\n".join((title.removesuffix("\\"), table(shown.columns, shown.rows)))


def _elsewhere(validations: Sequence[Mapping[str, Any]]) -> str:
    if not validations:
        return "It was not validated on another data set: `cxrfeat validate` does that."
    rows = []
    for one in validations:
        external, gap = one.get("external", {}), one.get("gap", {})
        cells = [
            f"{with_interval(external.get(name), external.get(f'{name}_ci'))} "
            f"(gap {with_interval(gap.get(name), gap.get(f'{name}_ci'))})"
            for name in ("accuracy", "auroc")
        ]
        lines, unlike = one.get("calibration", {}), one.get("out_of_distribution", {})
        cells += [
            with_interval(lines.get("ece"), lines.get("ece_ci")),
            with_interval(unlike.get("share"), unlike.get("share_ci")),
        ]
        rows.append((str(one.get("data", "?")), str(external.get("images", "?")), *cells))
    shown = table(("data set", "images", "accuracy", "AUROC", "calibration error", "unlike its training images"), rows)
    return "\n\n".join(filter(None, (shown, bullets(filter(None, map(recalibration, validations))))))


def recalibration(one: Mapping[str, Any]) -> str:
    """What mending the probabilities on a part of another data set does, in a sentence; empty where nobody tried."""
    found = one.get("recalibrated")
    if not found:
        return ""
    before, after = (with_interval(found[when]["ece"], found[when]["ece_ci"]) for when in ("before", "after"))
    return (
        f"Recalibrated on {found['images']} images of {inline(one.get('data', '?'))}: calibration error of the others "
        f"{before} before, {after} after. The model itself is as it was."
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as a Markdown table; empty without rows.

    Example:
        >>> print(table(("a", "b"), [(1, "x")]))
        | a | b |
        |---|---|
        | 1 | x |
    """
    lines = [f"| {' | '.join(cell(one) for one in row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(map(cell, columns))} |", f"|{'---|' * len(columns)}", *lines])


def bullets(lines: Iterable[str]) -> str:
    """Lines as a list."""
    return "\n".join(f"- {one}" for one in lines)


def numbered(lines: Iterable[str]) -> str:
    """Lines as a numbered list."""
    return "\n".join(f"{place}. {one}" for place, one in enumerate(lines, 1))


def cell(value: object) -> str:
    """A value as it stands in a table: of one line, and no mark-up of its own."""
    text = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
    return " ".join(text.split())


def inline(value: object) -> str:
    """A name as code, whatever it holds."""
    return f"`{' '.join(str(value).replace('`', chr(39)).split())}`"

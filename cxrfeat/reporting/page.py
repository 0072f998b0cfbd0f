"""Results as one self-contained page: its own script and style and nothing else, everything escaped."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.reporting.audit import audit_table, control_table, mitigation_table, pairs_table, sources_table
from cxrfeat.reporting.chart import SHAPES, calibration_chart, map_points, mark, roc_chart, training_chart, whisker
from cxrfeat.reporting.content import DataContent, FeatureMap, ReportContent, RunContent, Tiles
from cxrfeat.reporting.difference import apart, difference_table, other_difference_table, standing_of
from cxrfeat.reporting.score import operating_point
from cxrfeat.reporting.shortcut import shortcut_table, within_table
from cxrfeat.reporting.summary import honest_figure, standing, verdict, worst_findings
from cxrfeat.reporting.table import NO_ENDS, RESEARCH_USE, WHY_NO_ENDS, Table, in_words, number, with_interval
from cxrfeat.reporting.term import BY_CLASS, CHECKS, DIFFERENCES, SCORES, SHORTCUT
from cxrfeat.spec import HeadSpec
from cxrfeat.version import __version__

COPIES = 24
"""Pairs of copies that a report shows."""


def render_report(content: ReportContent) -> str:
    """A page of results.

    Args:
        content: What it shows.

    Returns:
        HTML, complete in itself.
    """
    parts = [_part(data, f"data-{place}") for place, data in enumerate(content.data, 1)]
    runs = [run for data in content.data for run in data.runs]
    tested = [data.runs[0].summary["test"] for data in content.data]
    lead = " ".join(
        f"{data.dataset}: {len(data.runs)} {'run' if len(data.runs) == 1 else 'runs'}, {test['images']} test images of "
        f"{test['groups']} patients or groups, {len(test['classes'])} classes ({', '.join(test['classes'])})."
        for data, test in zip(content.data, tested, strict=True)
    )
    return _fill(
        "report.html",
        script=_source("wide.js") + _source("page.js"),
        meanings=CHECKS,
        words={"scores": SCORES, "shortcuts": SHORTCUT, "differences": DIFFERENCES, "by_class": BY_CLASS},
        title=content.title,
        lead=lead,
        notes=content.notes,
        pictured=content.pictured,
        parts=parts,
        runs=len(runs),
        facts=_page_facts(content),
        command=content.command,
    )


def _part(data: DataContent, key: str) -> dict[str, Any]:
    comparison = data.comparison
    summaries = [run.summary for run in data.runs]
    best = summaries[0]
    differences = comparison["comparisons"]
    random = any(run["random_weights"] for run in summaries)
    heats = [run.heat.findings for run in data.runs if run.heat is not None]
    findings = worst_findings([run.info.get("audit") or [] for run in data.runs], heats)
    runs = [_run(run, f"{key}-run-{place}") for place, run in enumerate(data.runs, 1)]
    twins = Counter((run["head"], run["backbone"]) for run in summaries)
    for run in runs:  # of runs that are called alike, each is told apart by what ends its name
        run["twin"] = run["name"].rpartition("-")[2] if twins[run["head"], run["backbone"]] > 1 else ""
    return {
        "key": key,
        "dataset": data.dataset,
        "random": random,
        "verdict": verdict(findings, random=random, test=best["test"]),
        "figure": honest_figure(best["test"]),
        "best": f"{best['head']} on {best['backbone']}",
        "standing": standing(comparison),
        "findings": findings,
        "scores": _scores(summaries, differences, runs),
        "within": within_table(summaries),
        "shortcuts": shortcut_table(summaries[:1]),
        "differences": [difference_table(differences), other_difference_table(differences)] if differences else [],
        "runs": runs,
        "counts": data.counts,
        "maps": [_map(one, f"{key}-map-{place}") for place, one in enumerate(data.maps, 1)],
        "copies": _copies(data),
        "pairs": len(data.copies or ()),
        "store": _store(data.tiles),
        "notes": data.notes,
    }


def _scores(
    runs: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The comparison: each cell with what is read, what it is sorted by, and its interval as a picture."""
    against = {one["b"]: one for one in differences}
    sourced = any((run["test"].get("within_source") or {}).get("images") for run in runs)
    names = ["accuracy", "balanced accuracy", "AUROC", *(["within sources"] if sourced else []), "F1"]
    names += ["against the best"] if differences else []
    columns = [{"name": "run", "sort": "none", "numeric": False}]
    columns += [{"name": name, "sort": "none", "numeric": name == "F1"} for name in (*names, "seconds")]
    columns[-1]["numeric"] = True
    columns[1]["sort"] = "descending"

    def scored(value: float | None, interval: Sequence[float] | None, chance: float | None = None) -> dict[str, Any]:
        text, chart = with_interval(value, interval), whisker(value, interval, chance)
        return {"value": "" if value is None else value, "text": text, "chart": chart, "class": "interval"}

    def plain(value: float | None, digits: int) -> dict[str, Any]:
        return {"value": "" if value is None else value, "text": number(value, digits), "class": "number"}

    rows = []
    for run, part in zip(runs, shown, strict=True):
        test = run["test"]
        even = 1 / len(test["classes"])
        cells = [
            scored(test["accuracy"], test["accuracy_ci"]),
            scored(test["balanced_accuracy"], test["balanced_accuracy_ci"], even),
            scored(test["auroc"], test["auroc_ci"], 0.5),
        ]
        if sourced:
            within = test.get("within_source") or {}
            cells.append(scored(within.get("accuracy"), within.get("accuracy_ci"), within.get("chance")))
        cells.append(plain(test["macro_f1"], 3))
        if differences:
            said = standing_of(against.get(run["run"]))
            cells.append({"value": said, "text": said, "class": ""})
        cells.append(plain(run["seconds"], 1))
        rows.append({**{name: part[name] for name in ("head", "backbone", "twin", "key")}, "cells": cells})
    first = runs[0]
    how = "out-of-fold" if first.get("folds") else "test part"
    title = f"Test scores with 95 % intervals ({how}: {first['test']['images']} images). "
    title += "Upright dotted lines: chance. A heading sorts."
    if any(f" {NO_ENDS}" in cell["text"] for row in rows for cell in row["cells"]):
        title += f"\n{WHY_NO_ENDS}."
    if why := apart(differences):
        title += f"\n{why}"
    return {"title": title, "columns": columns, "rows": rows}


def _run(run: RunContent, key: str) -> dict[str, Any]:
    summary, info = run.summary, run.info
    test = summary["test"]
    points = test.get("operating_points") or {}
    roc, no_roc = [], []
    for place, (name, curve) in enumerate(run.roc.items()):
        if curve is not None:
            auroc = in_words(test["auroc_per_class"][name], test["auroc_per_class_ci"][name])
            drawn = roc_chart(f"{key}-roc-{place}", name, curve, auroc, operating_point(points, name))
            roc.append((name, drawn, auroc))
        else:
            no_roc.append(name)
    training = [
        (title, chart)
        for title, what in (("Loss", "loss"), ("Accuracy", "accuracy"))
        if (chart := training_chart(f"{key}-{what}", run.history, what, f"{title} over the epochs")) is not None
    ]
    error = in_words(test.get("ece"), test.get("ece_ci"))
    sure = (
        "How often it is right, against how sure it is: on the diagonal, of ten that it gives 0.8 it gets 8 right. "
        f"Expected calibration error, the mean distance from the diagonal: {error}."
    )
    filled = zip(run.calibration["counts"], run.calibration["accuracy_ci"], strict=True)
    if any(count and interval is None for count, interval in filled):
        sure += f" A point without a bar has no interval: {NO_INTERVAL} bear it."
    return {
        "key": key,
        "name": summary["run"],
        "head": summary["head"],
        "backbone": summary["backbone"],
        "line": f"accuracy {in_words(test['accuracy'], test['accuracy_ci'])}",
        "confusion": _confusion(test),
        "by_class": _by_class(test),
        "points": _points(test),
        "heat": run.heat,
        "roc": roc,
        "no_roc": no_roc,
        "calibration": calibration_chart(f"{key}-calibration", run.calibration),
        "calibration_words": sure,
        "training": training,
        "kept": any(run.history["kept"]),
        "notes": summary["notes"] or (),
        "facts": _run_facts(summary, info),
        "command": run.command,
    }


def _by_class(test: Mapping[str, Any]) -> Table:
    names = ("sensitivity", "specificity", "precision")
    rows = [
        (
            name,
            *(with_interval(test[score][name], test[f"{score}_ci"][name]) for score in names),
            with_interval(test["auroc_per_class"][name], test["auroc_per_class_ci"][name]),
        )
        for name in test["classes"]
    ]
    columns = ("class", *names, "AUROC")
    return Table(
        title="By class, 95 % intervals; the class is the most probable one", columns=columns, rows=tuple(rows)
    )


def _points(test: Mapping[str, Any]) -> Table | None:
    """The operating points; `None` where there is none."""
    points = test.get("operating_points") or {}
    rows = [
        (
            name,
            number(point["threshold"]),
            with_interval(point["sensitivity"], point["sensitivity_ci"]),
            with_interval(point["specificity"], point["specificity_ci"]),
        )
        for name in test["classes"]
        if (point := operating_point(points, name)) is not None
    ]
    if not rows:
        return None
    chosen = points.get("chosen_on", "")
    flattered = ", which flatters it" if chosen == "these images" else ""
    return Table(
        title="Operating points: each class against the rest, its threshold for a specificity of 0.9 chosen on "
        f"{chosen}{flattered}",
        columns=("class", "threshold", "sensitivity", "specificity"),
        rows=tuple(rows),
        numeric=frozenset({1}),
    )


def _confusion(test: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for counts in test["confusion"]:
        whole = sum(counts)
        shares = [count / whole if whole else 0.0 for count in counts]
        rows.append(
            [
                {"count": count, "share": f"{share:.0%}" if whole else "-", "shade": round(8 * share)}
                for count, share in zip(counts, shares, strict=True)
            ]
        )
    return {"classes": test["classes"], "rows": rows}


def datasets_of(page: Path) -> set[str]:
    """The data sets that a page of `render_report` is about; none if the file is no such page."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return set()
    made = re.search(r"<dt>made by</dt><dd>cxrfeat ", text) is not None
    return {unescape(name) for name in re.findall(r"<dt>data ([^<]*)</dt>", text)} if made else set()


def _run_facts(summary: Mapping[str, Any], info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where a run comes from, as far as it says."""
    spec = (info.get("features") or {}).get("spec") or {}
    identity, split = info.get("identity") or {}, info.get("split") or {}
    head = identity.get("head") or {}
    told = [
        ("run", summary["run"]),
        ("kind", info.get("kind")),
        ("network", info.get("backbone")),
        ("weights", spec.get("weights")),
        ("views", (spec.get("view") or {}).get("count")),
        ("split", ", ".join(f"{name} {value}" for name, value in split.items())),
        ("seed of the head", head.get("seed")),
        ("settings", _settings(head) if head else None),
        ("features", identity.get("features")),
        ("data", identity.get("data_sha256")),
        ("versions", ", ".join(f"{name} {value}" for name, value in (info.get("versions") or {}).items())),
    ]
    return [(name, str(value)) for name, value in told if value not in (None, "", {})]


def _settings(head: Mapping[str, Any]) -> str:
    """What is not as usual."""
    usual = {field.name: field.default for field in fields(HeadSpec)}
    names = [name for name in usual if name not in ("kind", "seed") and head.get(name, usual[name]) != usual[name]]
    return ", ".join(f"{name} {head[name]}" for name in names) or "the defaults"


def _page_facts(content: ReportContent) -> list[tuple[str, str]]:
    told = [("made by", f"cxrfeat {__version__}")]
    for data in content.data:
        told.append((f"data {data.dataset}", f"SHA-256 {data.data_sha256}"))
        weights = {
            f"{run.info['backbone']}: {run.info['features']['spec']['weights']}"
            for run in data.runs
            if "spec" in (run.info.get("features") or {})
        }
        told += [("weights", one) for one in sorted(weights)]
    told.append(("runs", ", ".join(run.summary["run"] for data in content.data for run in data.runs)))
    return told


def _map(one: FeatureMap, key: str) -> dict[str, Any]:
    points, width, height = map_points(one.places, one.kinds, one.words, one.wrong, one.tiles)
    shown = len(one.words)
    some = "" if shown == one.images else f" {shown} of {one.images} images, drawn by chance."
    by_source = f" and {len(one.sources)} sources" if one.sources else ""
    return {
        "key": key,
        "backbone": one.backbone,
        "points": points,
        "width": f"{width:g}",
        "height": f"{height:g}",
        "shapes": json.dumps(SHAPES),
        "classes": [(mark(place), name) for place, name in enumerate(one.classes)],
        "sources": [(mark(place), name) for place, name in enumerate(one.sources)],
        "words": f"{shown} images of {len(one.classes)} classes{by_source} in the plane; each mark says what it is.",
        "how": f"{one.how}{some}",
    }


def _store(tiles: Tiles | None) -> dict[str, Any] | None:
    if tiles is None:
        return None
    rows = -(-tiles.count // tiles.columns)
    size = {"width": tiles.columns * tiles.side, "height": rows * tiles.side}
    return {"address": tiles.address, "side": tiles.side, "columns": tiles.columns, **size}


def _copies(data: DataContent) -> list[dict[str, Any]] | None:
    if data.copies is None:
        return None
    return [
        {
            "boxes": [_box(data.tiles, tile) for tile in one.tiles] if data.tiles else [],
            "names": one.names,
            "classes": one.classes,
            "how": one.how,
        }
        for one in data.copies[:COPIES]
    ]


def _box(tiles: Tiles, tile: int) -> str:
    """Where a small picture lies among all of them, as a `viewBox`."""
    down, across = divmod(tile, tiles.columns)
    return f"{across * tiles.side} {down * tiles.side} {tiles.side} {tiles.side}"


PAIRS, EXAMPLES = 48, 6
"""Pairs of copies, and images of each other check, that an audit's page shows."""


def pictured(audit: Mapping[str, Any]) -> list[str]:
    """Paths of the images that the page of an audit shows."""
    paths = [path for pair in audit["copies"][:PAIRS] for path in (pair["image"], pair["copy"])]
    return list(dict.fromkeys(paths + [path for _, images in _examples(audit) for path in images]))


def render_audit(title: str, audit: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """A page of what the audit found, with the images it is about.

    Args:
        title: Its heading.
        audit: The document of `audit`.
        pictures: For the paths of `pictured`, as far as they are to be seen, `data:` addresses of images.

    Returns:
        HTML, complete in itself.
    """
    tables = (
        sources_table(audit["sources"]),
        control_table(audit["controls"]),
        pairs_table(audit["within_source"]),
        mitigation_table(audit["mitigations"]),
    )
    return _fill(
        "audit.html",
        words=[(one["check"], CHECKS[one["check"]]) for one in audit["checks"] if one["check"] in CHECKS],
        title=title,
        checks=audit_table(audit["checks"], everything=True),
        results=[table for table in tables if table is not None],
        pairs=audit["copies"],
        shown=min(PAIRS, len(audit["copies"])),
        examples=_examples(audit),
        pictures=pictures,
        images=audit["images"],
        classes=audit["classes"],
    )


def _examples(audit: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Checks that name images, copies apart, each with some of them."""
    return [
        (one["check"], list(one["images"][:EXAMPLES]))
        for one in audit["checks"]
        if one["images"] and one["status"] != "pass" and not one["check"].startswith("copies")
    ]


def _fill(template: str, *, script: str | None = None, **values: Any) -> str:  # noqa: ANN401  # whatever it names
    """A template with its values; the page may run this script and use its own style, and nothing else."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("cxrfeat.reporting"), autoescape=select_autoescape(default=True), trim_blocks=True
    )
    css = _source("style.css")
    policy = f"default-src 'none'; style-src '{_digest(css)}'; img-src data:; base-uri 'none'; form-action 'none'"
    if script:
        policy += f"; script-src '{_digest(script)}'"
    return environment.get_template(template).render(
        **values,
        css=Markup(css),  # our own file
        script=Markup(script) if script else None,  # our own file
        policy=Markup(policy),  # the quotes in it are no attribute's
        research_use=RESEARCH_USE,
        version=__version__,
    )


def _source(name: str) -> str:
    """A file beside the templates; none holds the end of the element it is put into."""
    return files("cxrfeat.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a Content-Security-Policy names the one script or style that may be used."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"

"""The page of a report: verdicts, the comparison, a section for each run, the images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cxrfeat.reporting.chart import SHAPES, learning_chart, map_points, mark, whisker
from cxrfeat.reporting.content import DataContent, FeatureMap, ReportContent, Tiles
from cxrfeat.reporting.difference import apart, difference_table, other_difference_table, standing_of
from cxrfeat.reporting.learning_curve import curve_table, fitted_table, wanted_table
from cxrfeat.reporting.run_section import run_section
from cxrfeat.reporting.score import SCORES
from cxrfeat.reporting.shortcut import encoded_table, shortcut_table, within_table
from cxrfeat.reporting.summary import honest_figure, standing, verdict, worst_findings
from cxrfeat.reporting.table import NO_ENDS, WHY_NO_ENDS, Table, number
from cxrfeat.reporting.template import fill, text_of
from cxrfeat.reporting.term import BY_CLASS, CHECKS, DIFFERENCES, ENCODED, RUNS, SHORTCUT
from cxrfeat.reporting.validation import forest_table
from cxrfeat.run.record import to_json
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
    lead = " ".join(
        [lead, *(f"{one.title}: {len(one.runs)} {'run' if len(one.runs) == 1 else 'runs'}." for one in content.targets)]
    )
    return fill(
        "report.html",
        script=text_of("wide.js") + text_of("page.js"),
        meanings=CHECKS,
        words=content.words,
        told={
            "scores": RUNS,
            "shortcuts": SHORTCUT,
            "encoded": ENCODED,
            "differences": DIFFERENCES,
            "by_class": BY_CLASS,
        },
        title=content.title,
        lead=lead,
        notes=content.notes,
        pictured=content.pictured,
        parts=parts,
        targets=content.targets,
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
    findings = worst_findings([to_json(run.document.audit) for run in data.runs], heats)
    runs = [run_section(run, f"{key}-run-{place}") for place, run in enumerate(data.runs, 1)]
    twins = Counter((run["head"], run["backbone"]) for run in summaries)
    for run in runs:  # of runs that are called alike, each is told apart by what ends its name
        run["twin"] = run["name"].rpartition("-")[2] if twins[run["head"], run["backbone"]] > 1 else ""
    return {
        "key": key,
        "dataset": data.dataset,
        "random": random,
        "verdict": verdict(findings, random=random, test=data.runs[0].document.test),
        "figure": honest_figure(data.runs[0].document.test),
        "best": f"{best['head']} on {best['backbone']}",
        "standing": standing(comparison),
        "findings": findings,
        "scores": _scores(summaries, differences, runs),
        "within": within_table(summaries),
        "shortcuts": shortcut_table(summaries[:1]),
        "encoded": _encoded(data),
        "elsewhere": _elsewhere(data),
        "differences": [difference_table(differences), other_difference_table(differences)] if differences else [],
        "runs": runs,
        "counts": data.counts,
        "maps": [_map(one, f"{key}-map-{place}") for place, one in enumerate(data.maps, 1)],
        "copies": _copies(data),
        "curve": _curve(data, key),
        "subgroups": data.subgroups,
        "doubts": _doubts(data),
        "mistakes": _mistakes(data),
        "pairs": len(data.copies or ()),
        "store": _store(data.tiles),
        "notes": data.notes,
    }


def _elsewhere(data: DataContent) -> dict[str, Any] | None:
    """How the best of the runs that were tried elsewhere did there; `None` where none was."""
    tried = next((run for run in data.runs if run.validations), None)
    if tried is None:
        return None
    failed = [
        {"dataset": one["dataset"], **finding}
        for one in tried.validations
        for finding in one["audit"]
        if finding["status"] == "fail"
    ]
    return {"table": forest_table(tried.validations, str(tried.summary["run"]), _interval), "failed": failed}


def _interval(value: float | None, ends: Sequence[float] | None, low: float) -> str:
    return whisker(value, ends, 0.5, low=low)


def _encoded(data: DataContent) -> list[Table]:
    """What else the features know, a table for each network."""
    of_features = {run.document.identity.features: run for run in reversed(data.runs) if run.document.encoded}
    found = []
    for run in reversed(of_features.values()):
        table = encoded_table(to_json(run.document.encoded))
        assert table is not None, "something is encoded"
        named = f"{run.document.backbone}: {table.title}" if len(of_features) > 1 else table.title
        found.append(replace(table, title=named))
    return found


def _scores(
    runs: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The comparison: each cell with what is read, what it is sorted by, and its interval as a picture."""
    against = {one["b"]: one for one in differences}
    scores = [
        score for score in SCORES if score.part is None or any(score.told(run["test"]).get("images") for run in runs)
    ]
    columns = [
        {"name": "run", "sort": "none", "numeric": False},
        *({"name": score.title, "sort": "none", "numeric": not score.interval} for score in scores),
        *([{"name": "against the best", "sort": "none", "numeric": False}] if differences else []),
        {"name": "seconds", "sort": "none", "numeric": True},
    ]
    columns[1]["sort"] = "descending"

    def cell(value: float | None, text: str) -> dict[str, Any]:
        return {"value": "" if value is None else value, "text": text, "class": "number"}

    rows = []
    for run, part in zip(runs, shown, strict=True):
        cells = []
        for score in scores:
            test = run["test"]
            cells.append(cell(score.value(test), score.text(test)))
            if score.interval:
                drawn = whisker(score.value(test), score.ends(test), score.chance(test))
                cells[-1] |= {"class": "interval", "chart": drawn}
        if differences:
            said = standing_of(against.get(run["run"]))
            cells.append({"value": said, "text": said, "class": ""})
        cells.append(cell(run["seconds"], number(run["seconds"], 1)))
        rows.append({**{name: part[name] for name in ("head", "backbone", "twin", "key")}, "cells": cells})
    first = runs[0]
    how = "out-of-fold" if first.get("folds") else "test part"
    title = f"Test scores with 95 % intervals ({how}: {first['test']['images']} images). "
    title += "Vertical dotted lines: chance. A heading sorts."
    if any(f" {NO_ENDS}" in one["text"] for row in rows for one in row["cells"]):
        title += f"\n{WHY_NO_ENDS}."
    if why := apart(differences):
        title += f"\n{why}"
    return {"title": title, "columns": columns, "rows": rows}


def _page_facts(content: ReportContent) -> list[tuple[str, str]]:
    told = [("made by", f"cxrfeat {__version__}")]
    for data in content.data:
        told.append((f"data {data.dataset}", f"SHA-256 {data.data_sha256}"))
        weights = {f"{run.document.backbone}: {run.document.features.spec.weights}" for run in data.runs}
        told += [("weights", one) for one in sorted(weights)]
    known = {data.dataset for data in content.data}
    more = dict.fromkeys(name for one in content.targets for name in one.datasets if name not in known)
    told += [(f"data {name}", "of a number, or of findings") for name in more]
    names = [run.summary["run"] for data in content.data for run in data.runs]
    told.append(("runs", ", ".join([*names, *(name for one in content.targets for name in one.runs)])))
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


def _curve(data: DataContent, key: str) -> dict[str, Any] | None:
    if data.curve is None:
        return None
    tables = curve_table(data.curve), fitted_table(data.curve), wanted_table(data.curve)
    return {
        "chart": learning_chart(f"{key}-curve", data.curve),
        "sentence": data.curve["sentence"],
        "unfitted": data.curve["unfitted"],
        "tables": [table for table in tables if table is not None],
    }


def _doubts(data: DataContent) -> dict[str, Any] | None:
    doubts = data.doubts
    if doubts is None:
        return None
    ends = "" if doubts.expected_wrong_ci is None else " [{:.0f}, {:.0f}]".format(*doubts.expected_wrong_ci)
    shown = [
        {"box": _box(data.tiles, one.tile) if data.tiles else None, "one": one, "score": number(one.score, 2)}
        for one in doubts.labels
    ]
    expected = f"{doubts.expected_wrong:.0f}{ends}"
    return {"shown": shown, "expected": expected, "doubtful": doubts.doubtful, "images": doubts.images}


def _mistakes(data: DataContent) -> list[dict[str, Any]]:
    return [
        {
            "one": one,
            "box": _box(data.tiles, one.tile) if data.tiles else None,
            "probability": number(one.probability, 2),
            "nearest": [
                {
                    "one": near,
                    "box": _box(data.tiles, near.tile) if data.tiles else None,
                    "similarity": number(near.similarity, 2),
                }
                for near in one.nearest
            ],
        }
        for one in data.mistakes
    ]


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

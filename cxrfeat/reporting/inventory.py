"""Tables of what is there: images and what is wrong with some, feature files, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table


def index_tables(found: Mapping[str, Any]) -> list[Table]:
    """What is in a folder: the classes and sources, then the rest, then what could not be read."""
    counts = [("class", name, str(count)) for name, count in found["classes"].items()]
    counts += [("source", name, str(count)) for name, count in found["sources"].items()]
    counts += [("format", name, str(count)) for name, count in found["formats"].items()]
    counts += [("part", name, str(count)) for name, count in found.get("splits", {}).items()]
    counts += [("view", name, str(count)) for name, count in found.get("views", {}).items()]
    counts += [("left out", why, str(count)) for why, count in found.get("left_out", {}).items()]
    sizes = found["sizes"]
    published = found.get("published")
    facts = [
        *([("recognised", f"{published['title']} ({published['name']})")] if published else []),
        ("images", str(found["images"])),
        ("patients", f"{found['patients']} known; unknown for {found['unknown_patients']} images"),
        ("groups", f"{found['groups']} (images of one patient, and copies, are one)"),
        ("copies", f"{found['duplicates']} byte for byte; changed copies are looked for by cxrfeat audit, not here"),
        ("masks", f"{found['masks']} images have one{_kinds(found['masks_from'])}"),
        ("size", ", ".join(f"{name} {width} x {height}" for name, (width, height) in sizes.items())),
        ("unusable", str(len(found["quarantined"]))),
    ]
    tables = [
        Table(title=f"{found['dataset']}: what is there", columns=("", ""), rows=tuple(facts)),
        Table(title="Counts", columns=("", "", "images"), rows=tuple(counts), numeric=frozenset({2})),
    ]
    if findings := found.get("findings"):
        tables.append(_findings_table(findings))
    if kept := found.get("kept"):
        tables.append(_kept_table(kept))
    if read := found.get("table"):
        tables.append(_columns_table(read))
    bad = quarantine_table(found["quarantined"])
    return [*tables, bad] if bad else tables


def _kinds(counts: Mapping[str, int]) -> str:
    """Where masks are from, unless all are plain files."""
    kinds = [kind if len(counts) == 1 else f"{count} {kind}" for kind, count in counts.items()]
    return f" ({', '.join(kinds)})" if kinds and [*counts] != ["files"] else ""


def _findings_table(findings: Mapping[str, Mapping[str, int]]) -> Table:
    """How many images have each finding."""
    states = [state for state in next(iter(findings.values())) if any(one[state] for one in findings.values())]
    rows = [(name, *(str(counts[state]) for state in states)) for name, counts in findings.items()]
    return Table(
        title="Findings, of which an image may have several",
        columns=("", *(state.replace("_", " ") for state in states)),
        rows=tuple(rows),
        numeric=frozenset(range(1, len(states) + 1)),
    )


def _kept_table(kept: Mapping[str, Mapping[str, Any]], most: int = 8) -> Table:
    """What stands in the columns that the user keeps."""
    rows = []
    for title, one in kept.items():
        values = one.get("values")
        if values is None:
            told = f"numbers from {one['least']:g} to {one['largest']:g}"
        else:
            often = sorted(values.items(), key=lambda pair: -pair[1])
            told = ", ".join(f"{text} {count}" for text, count in often[:most])
            told += f" and {len(often) - most} more" if len(often) > most else ""
        rows.append((title, told, str(one["unknown"])))
    return Table(title="Columns kept", columns=("", "values", "unknown"), rows=tuple(rows), numeric=frozenset({2}))


def _columns_table(read: Mapping[str, Any]) -> Table:
    """Which columns of the table of the images are read, and which are not."""
    rows = [(title, ours) for ours, title in read["columns"].items()]
    rows += [(title, "finding") for title in read["findings"]]
    rows += [(title, "kept") for title in read["kept"]]
    rows += [(title, "not read") for title in read["not_read"]]
    form = f", {read['form']}" if read["form"] else ""
    return Table(title=f"Columns of {read['name']}{form}", columns=("column", "read as"), rows=tuple(rows))


def counts_table(
    classes: Sequence[str], labels: Sequence[int], groups: Sequence[int], columns: Mapping[str, Sequence[str | None]]
) -> Table:
    """Images of each class: how many, of how many patients, and how they fall into parts, sources and the like.

    Args:
        classes: Class names.
        labels: Of each image, its place among them.
        groups: Of each image.
        columns: By name, a text for each image, or none; each text that occurs becomes a column.
    """
    kinds = [(name, text) for name, texts in columns.items() for text in sorted({one for one in texts if one})]
    rows = []
    for index, label in [*enumerate(classes), (None, "all")]:
        of_class = [row for row, one in enumerate(labels) if index is None or one == index]
        counts = [sum(columns[name][row] == text for row in of_class) for name, text in kinds]
        rows.append((label, *map(str, (len(of_class), len({groups[row] for row in of_class}), *counts))))
    return Table(
        title="Images by class",
        columns=("class", "images", "patients or groups", *(f"{name} {text}".strip() for name, text in kinds)),
        rows=tuple(rows),
        numeric=frozenset(range(1, 3 + len(kinds))),
    )


def extract_table(files: Sequence[Mapping[str, Any]]) -> Table:
    """One line per feature file, and what it took."""
    rows = []
    for one in files:
        rate = f"{one['views_per_second']:.1f}" if one["rows_computed"] else "-"
        shape = f"{one['images']} x {one['views']} x {one['dim']}"
        computed, reused = str(one["rows_computed"]), str(one["rows_reused"])
        rows.append((one["backbone"], shape, computed, reused, rate, one["engine"], one["path"]))
    workers = sorted({one["workers"] for one in files if one["workers"]})
    title = f"Feature files, from images prepared by {' and '.join(workers)}" if workers else "Feature files"
    if any(one["random"] for one in files):
        title += f"\n{RANDOM_WEIGHTS}"
    columns = ("backbone", "images x views x features", "rows computed", "reused", "views/s", "engine", "file")
    return Table(title=title, columns=columns, rows=tuple(rows), numeric=frozenset({2, 3, 4}))


def share_table(shares: Sequence[Mapping[str, Any]]) -> Table:
    """One line per feature file of which a share was computed."""
    rows = []
    for one in shares:
        rate = f"{one['views_per_second']:.1f}" if one["rows_computed"] else "-"
        counts = str(one["images"]), str(one["rows_computed"]), str(one["others"])
        rows.append((one["backbone"], one["shard"], *counts, rate, one["engine"], one["path"]))
    title = "Shares of feature files" + (f"\n{RANDOM_WEIGHTS}" if any(one["random"] for one in shares) else "")
    columns = ("backbone", "share", "images", "rows computed", "in other shares", "views/s", "engine", "file to be")
    return Table(title=title, columns=columns, rows=tuple(rows), numeric=frozenset({2, 3, 4, 5}))


def quarantine_table(bad: Sequence[Mapping[str, Any]], most: int = 20) -> Table | None:
    """The images that could not be used, and why; `None` if there is none."""
    if not bad:
        return None
    rows = [(one["path"], one["stage"], one["reason"]) for one in bad[:most]]
    if len(bad) > most:
        rows.append((f"... and {len(bad) - most} more", "", "the JSON document lists all"))
    return Table(title=f"{len(bad)} images could not be used", columns=("image", "stage", "why"), rows=tuple(rows))


def weights_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Which ImageNet weights are here."""
    cells = tuple((row["backbone"], row["state"], row["path"], row["url"]) for row in rows)
    return Table(title="ImageNet weights", columns=("backbone", "state", "path", "downloaded from"), rows=cells)

"""What `cxrfeat explain` found, as tables of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table


def image_table(document: Mapping[str, Any]) -> Table:
    """One line per image: what was predicted, what is explained, and where its heat lies."""
    rows = []
    for one in document["images"]:
        explained = f"{one['explained']} {one['probabilities'][one['explained']]:.3f}"
        peak = "-" if one["peak"] is None else f"{one['peak'][0]:.0f}, {one['peak'][1]:.0f}"
        shares = (_share(one["in_lungs"]), _share(one["lungs_area"]), _share(one["in_border"]))
        rows.append((one["image"], one["true"] or "-", one["label"], explained, *shares, peak, one["overlay"] or "-"))
    title = f"Where the class comes from ({document['method']})"
    if document["random_weights"]:
        title += f"\n{RANDOM_WEIGHTS}"
    columns = (
        "image",
        "labelled",
        "predicted",
        "explained",
        "in lungs",
        "lungs",
        "in border",
        "peak (x, y)",
        "overlay",
    )
    return Table(title=title, columns=columns, rows=tuple(rows), numeric=frozenset({4, 5, 6, 7}))


def mean_table(document: Mapping[str, Any]) -> Table | None:
    """One line per class: where the mean of its heat lies; `None` if no means were taken."""
    rows = tuple(
        (name, str(one["images"]), _share(one["in_lungs"]), _share(one["in_border"]), one["picture"] or "-")
        for name, one in document["classes"].items()
    )
    if not rows:
        return None
    return Table(
        title=f"Mean heat over {document['judged']} test images",
        columns=("explained", "images", "in lungs", "in border", "picture"),
        rows=rows,
        numeric=frozenset({1, 2, 3}),
    )


def maps_table(document: Mapping[str, Any]) -> Table:
    """The channels of a layer that are most active in one image."""
    return Table(
        title=f"{document['layer']}: {document['channels']} channels of {document['height']} x {document['width']} "
        f"cells, from {document['least']:.3g} to {document['most']:.3g}; the most active",
        columns=("unit", "activation"),
        rows=tuple((str(one["unit"]), f"{one['activation']:.3g}") for one in document["strongest"]),
        numeric=frozenset({0, 1}),
    )


def patch_tables(document: Mapping[str, Any]) -> Sequence[Table]:
    """For each unit the places that excite it most."""
    height, width = document["receptive_field"]
    return [
        Table(
            title=f"{document['layer']}, unit {unit}: strongest of {document['images']} images "
            f"(receptive field {height:g} x {width:g} pixels of the view)",
            columns=("image", "labelled", "activation", "cell (row, column)"),
            rows=tuple(
                (one["image"], one["label"] or "-", f"{one['activation']:.3g}", f"{one['cell'][0]}, {one['cell'][1]}")
                for one in found["patches"]
            ),
            numeric=frozenset({2}),
        )
        for unit, found in document["units"].items()
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"

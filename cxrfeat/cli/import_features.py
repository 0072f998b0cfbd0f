"""`cxrfeat import-features`: features that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.console import note, print_json, say


def import_features(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="Parquet, .npz arrays or CSV: ids, labels, and columns of features.")
    ],
    column: reading.Column = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Name of the data set. Default: the table's name.")
    ] = None,
    features: options.Features = Path("features"),
    json: options.Json = False,
) -> None:
    """Make a feature file from a table of features.

    For heads, statistics, audit and report. Reads ids, labels, features (columns that share a name, each with a number)
    and, where present, views, patients, sources, parts of a split, dates, sex, age and position. What needs pixels says
    that they are missing.
    """
    from cxrfeat.workflow.import_features import import_features as run

    made = run(table, features=features, column=reading.columns(column), dataset=dataset)
    if json:
        print_json(made.to_dict())
        return
    for one in made.notes:
        note(f"Note: {one}")
    classes = ", ".join(f"{name} {count}" for name, count in made.classes.items())
    views = f"{made.views} view{'' if made.views == 1 else 's'} each"
    say(f"{made.path}: {made.images} images ({classes}), {views}, {made.dim} features.")

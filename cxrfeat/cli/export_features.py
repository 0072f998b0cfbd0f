"""`cxrfeat export-features`: features as a table for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import print_json, say


def export_features(
    file: options.FeaturesFile = None,
    to: Annotated[
        Literal["parquet", "anndata", "npz"],
        typer.Option("--to", help="A table (.parquet), an annotated matrix (.h5ad), or plain arrays (.npz)."),
    ] = "parquet",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="<file>", help="Where to write it. Default: the file's name, in the current folder."
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Also write the small pictures of the images, which show patients.")
    ] = False,
    features: options.Features = Path("features"),
    json: options.Json = False,
) -> None:
    """Write features as a table, arrays or an annotated matrix.

    For other programs. Rows are named by salted ids; no path or patient is written, and no picture unless you ask for
    it. A table comes with a Croissant description.
    """
    from cxrfeat.feature.find import find_features
    from cxrfeat.workflow.export_features import export_features as run

    made = run(find_features(file, features, "export-features"), to=to, out=out, pictures=pictures)
    if json:
        print_json(made.to_dict())
        return
    beside = f" Next to it: {', '.join(path.name for path in made.beside)}." if made.beside else ""
    views = f"{made.views} view{'' if made.views == 1 else 's'} each"
    say(f"{made.path}: {made.images} images, {views}, {made.dim} features.{beside}")
    say("Features can say something about a patient: share them only as you would share the data.")

"""`cxrfeat weights`: which ImageNet weights are here, and how to bring them to a machine without internet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import print_json, say, show
from cxrfeat.cli.help import WIDTH, Command

app = typer.Typer(help="List or import ImageNet weights.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list", cls=Command, context_settings=WIDTH)
def list_(json: options.Json = False) -> None:
    """List the backbones and whether their weights are on this machine."""
    from cxrfeat.backbone.weights import list_weights
    from cxrfeat.reporting.inventory import weights_table

    rows = list_weights()
    if json:
        print_json({"weights": rows})
    else:
        show(weights_table(rows))


@app.command("import", cls=Command, context_settings=WIDTH)
def import_(file: Annotated[Path, typer.Argument(metavar="FILE", help="A downloaded weights file (.h5).")]) -> None:
    """Put a downloaded weights file where cxrfeat looks for it. Its digest says which network it is for."""
    from cxrfeat.backbone.weights import import_weights

    backbone, place = import_weights(file)
    say(f"{file.name} holds the weights of {backbone}; they are now in {place}.")

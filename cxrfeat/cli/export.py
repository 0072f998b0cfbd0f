"""`cxrfeat export`: a run as one model, to be run anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import note, print_json, progress, say, show_failed


def export(
    name: Annotated[str, options.RUN],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="<file>", help="Where to write the model: a name that ends in .onnx or .keras."),
    ],
    form: Annotated[
        Literal["onnx", "keras"] | None,
        typer.Option("--format", help="Kind of file. Default: taken from the extension of --out.", show_default=False),
    ] = None,
    network: options.Network = None,
    validation: Annotated[
        list[Path] | None,
        typer.Option(
            "--validation",
            metavar="<file>",
            help="JSON output of validate on another data set, for the model card; may be repeated.",
            show_default=False,
        ),
    ] = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a run as a single model that works without cxrfeat.

    Grey pixels in, calibrated probabilities out: preprocessing, network, head and calibration are inside, and only
    resizing the image is left to you. A model card (Markdown and JSON) and the checklists CLAIM 2024 and TRIPOD+AI are
    written next to it, filled in as far as the run allows. Research use only, never diagnosis.
    """
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.run.record import to_json
    from cxrfeat.workflow.export import export as run

    with progress("steps", quiet=quiet) as tell:
        made = run(
            name,
            out,
            form=form,
            network=network,
            validation=validation or (),
            features=features,
            runs=runs,
            progress=tell,
        )
    document = made.to_dict() | {"failed_checks": to_json(made.run.failed_checks)}
    if json:
        print_json(document)
        return
    show_failed(document["failed_checks"], document["run"])
    for one in made.notes:
        note(f"Note: {one}", quiet=quiet)
    say(f"{made.path}: {document['run']} as one model, within {made.difference:.1g} of the run's own head.")
    say(f"Next to it: {', '.join(path.name for path in made.beside)}. Read the card, and finish the checklists.")
    say(RESEARCH_USE)

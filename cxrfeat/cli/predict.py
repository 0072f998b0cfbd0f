"""`cxrfeat predict`: images through a fitted run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.console import noting, print_json, progress, say, show, show_audit, show_failed, telling


def predict(
    name: Annotated[str, options.RUN],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Image files, or folders of them.")],
    network: options.Network = None,
    engine: options.Engine = "auto",
    max_bad: options.MaxBad = None,
    follow_links: reading.FollowLinks = None,
    strict: options.StrictReading = False,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Predict the class of images. Research use only, never diagnosis."""
    from cxrfeat.errors import QuarantineError
    from cxrfeat.reporting.inventory import quarantine_table
    from cxrfeat.reporting.prediction import prediction_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.workflow.predict import predict as run

    options.too_many_bad(max_bad, 0, 1)
    asked = reading.selection({"follow_links": follow_links or ()}, strict=strict)
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=not json) as notes,
        progress("images", quiet=quiet) as tell,
    ):
        made = run(
            name, images, network=network, engine=engine, features=features, runs=runs, reading=asked, progress=tell
        )
    document = made.to_dict() | {"notes": notes}
    for one in document["predictions"]:
        one["image"] = options.shown(one["image"], redact=redact)
    for one in document["quarantined"]:
        one["path"] = options.shown(one["path"], redact=redact)
    if json:
        print_json(document)
    else:
        show_failed(document["failed_checks"], document["run"])
        show_audit(document["checks"])
        show(prediction_table(document))
        show(quarantine_table(document["quarantined"]))
        if made.rows_reused:
            say(
                f"The features of {made.rows_reused} of these images were in {features}, "
                f"and the network computed those of {document['rows_computed']}."
            )
        say(RESEARCH_USE)
    bad, total = len(made.quarantined), len(made.quarantined) + len(made.predictions)
    if options.too_many_bad(max_bad, bad, total):
        raise QuarantineError(f"{bad} of {total} images could not be used; those of the others are predicted above.")

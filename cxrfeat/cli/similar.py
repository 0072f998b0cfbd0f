"""`cxrfeat similar`: the nearest images of a set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import noting, print_json, say, show, telling


def similar(
    image: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="An image of the set by its path or id, or any other image file."),
    ],
    file: options.FeaturesFile = None,
    count: Annotated[int, typer.Option("--n", min=1, help="Number of images to list.")] = 10,
    network: options.Network = None,
    engine: options.Engine = "auto",
    features: options.Features = Path("features"),
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """List the images of a set that are most similar to one.

    Copies come first. Each image is shown with its class, its source, and whether it is a copy or of the same patient.
    A new image goes through the network that made the features.
    """
    from cxrfeat.feature.find import find_features
    from cxrfeat.reporting.similar import similar_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.workflow.similar import similar as run

    with telling(verbose=verbose, quiet=quiet), noting(redact=redact, show=not json):
        found = run(image, find_features(file, features, "similar IMAGE"), count=count, network=network, engine=engine)
    document = found.to_dict()
    if redact:
        document["image"] = found.image_id or options.shown(found.image, redact=True)
        for one in document["neighbours"]:
            one["image"] = one["image_id"]
    if json:
        print_json(document)
        return
    show(similar_table(document))
    say(RESEARCH_USE)

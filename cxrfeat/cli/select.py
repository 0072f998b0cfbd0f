"""`cxrfeat select`: what to label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cxrfeat.cli import completion, options
from cxrfeat.cli.console import noting, print_json, say, show


def select(
    file: options.FeaturesFile = None,
    count: Annotated[int, typer.Option("--n", min=1, help="Number of images to choose.")] = 50,
    strategy: Annotated[
        Literal["margin", "typical", "diverse"],
        typer.Option(
            "--strategy",
            help="typical: in the middle of unlabelled clusters, for when labels are few; diverse: far from "
            "everything labelled; margin: where a head hesitates, for when labels are many.",
        ),
    ] = "typical",
    unlabelled: Annotated[
        str | None,
        typer.Option(
            "--unlabelled",
            metavar="<class>",
            help="Class that stands for no label yet: only its images are candidates. Default: all images.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="A run, by name or folder: its images count as labelled, and its head gives the margins.",
            show_default=False,
            autocompletion=completion.runs,
        ),
    ] = None,
    csv: Annotated[Path, typer.Option("--csv", help="The file to write, which must not exist yet.")] = Path(
        "to-label.csv"
    ),
    seed: options.Seed = 0,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    json: options.Json = False,
    quiet: options.Quiet = False,
    redact: options.Redact = False,
) -> None:
    """Choose which images to label next, and write a CSV.

    Every patient contributes one image before any contributes a second.
    """
    from cxrfeat.errors import InputError
    from cxrfeat.feature.find import find_features
    from cxrfeat.reporting.select import select_csv, select_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.system.files import write_atomic
    from cxrfeat.workflow.select import select as choose

    if csv.exists():
        raise InputError(
            f"{csv} already exists, and may contain labels. Name another file with --csv, or move it away."
        )
    with noting(redact=redact, show=not json):
        found = choose(
            find_features(file, features, "select"),
            count=count,
            strategy=strategy,
            unlabelled=unlabelled,
            run=run,
            seed=seed,
            runs=runs,
        )
    document = found.to_dict()
    for one in document["images"] if redact else ():
        one["image"] = one["image_id"]
    # surrogatepass: file names that are not UTF-8 must come back as they were.
    write_atomic(csv, select_csv(document).encode("utf-8", "surrogatepass"), private=True)
    if json:
        print_json(document)
        return
    show(select_table(document))
    if not quiet:
        say(f"All {len(found.choices)} are in {csv}.")
    say(RESEARCH_USE)

"""`cxrfeat merge`: shares of an extraction become its feature files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import note, noting, print_json, show


def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDERS", help="Feature folders with shares from `extract --shard`.")
    ],
    *,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            help="Folder for the feature files. Default: the first of FOLDERS.",
            show_default=False,
            rich_help_panel=options.PLACES,
        ),
    ] = None,
    max_bad: options.MaxBad = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    redact: options.Redact = False,
) -> None:
    """Build feature files from the shares of a job array.

    Shares may lie in one folder or several, and more than once. Missing images and contradicting shares are named.
    Shards in the folder of the new file are deleted once it is complete; others are left alone.
    """
    import shlex

    from cxrfeat.reporting.inventory import extract_table, quarantine_table
    from cxrfeat.workflow.merge import merge as run

    options.too_many_bad(max_bad, 0, 1)
    with noting(redact=redact, show=not json) as notes:
        made = run(folders, features=features)
    bad = [
        {"path": options.shown(one.path, redact=redact), "stage": one.stage, "reason": one.reason}
        for one in made.quarantined
    ]
    if json:
        print_json({"files": [{**one.to_dict(), "quarantined": bad} for one in made.files], "notes": notes})
    else:
        show(extract_table([one.to_dict() for one in made.files]))
        show(quarantine_table(bad))
        note(f"Next: cxrfeat fit-head {shlex.quote(str(made.files[0].path))}", quiet=quiet)
    options.refuse_bad(max_bad, len(bad), len(bad) + made.files[0].images, "the features of the others are written")

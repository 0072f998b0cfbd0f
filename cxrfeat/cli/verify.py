"""`cxrfeat verify`: is a feature file what it was?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.console import noting, print_json, progress, say, telling


def verify(
    file: Annotated[Path, typer.Argument(metavar="FEATURES.h5", help="A feature file.")],
    recompute: Annotated[int, typer.Option("--recompute", help="Recompute this many random rows from the images.")] = 0,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the images, for --recompute.")] = None,
    network: options.Network = None,
    *,
    folder: reading.Reading,
    strict: options.StrictReading = False,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Check that a feature file is undamaged.

    Checks every checksum; with --recompute, also computes some of its numbers again.
    """
    from cxrfeat.errors import IntegrityError
    from cxrfeat.workflow.verify import verify as run

    asked = reading.selection(folder, strict=strict)
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=not json) as notes,
        progress("rows", quiet=quiet) as tell,
    ):
        problems = run(file, recompute=recompute, data=data, network=network, reading=asked, seed=seed, progress=tell)
    if json:
        print_json(
            {
                "ok": not problems,
                "problems": [options.shown_note(one, redact=redact) for one in problems],
                "notes": notes,
            }
        )
    elif not problems:
        rows = ", and the recomputed rows are the same" if recompute else ""
        say(f"{file} is intact: every checksum matches{rows}.")
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise IntegrityError(f"{file}: {shown}. Delete the file and run `cxrfeat extract` again.")

"""`cxrfeat doctor`: would it work on this machine?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import completion, options
from cxrfeat.cli.console import print_json, show_checks


def doctor(
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            metavar="<name|path>",
            help="The network to check for: a name that `cxrfeat weights list` shows, or your own file.",
            autocompletion=completion.backbones,
        ),
    ] = "densenet121",
    weights: options.Weights = "imagenet",
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    json: options.Json = False,
) -> None:
    """Check whether this machine can run extract and fit-head.

    Says what to do where it cannot. Looks at versions, extras, engines and what each would run, weights, devices,
    caches and their sizes, and the salt of ids, and tries writing, renaming and locking in the folders. Loads no
    network. Exit code 0 if everything needed is there, else 3.
    """
    from cxrfeat.errors import InputError
    from cxrfeat.reporting.doctor import doctor_table
    from cxrfeat.workflow.doctor import doctor as run

    found = run(backbone, weights=weights, features=features, runs=runs)
    if json:
        print_json(found.to_dict())
    else:
        show_checks(doctor_table(found.to_dict()))
    if not found.ok:
        names = ", ".join(one.check for one in found.failed)
        raise InputError(f"`extract` would fail here ({names}). Follow the checks, then run doctor again.")

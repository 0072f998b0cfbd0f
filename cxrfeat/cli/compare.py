"""`cxrfeat compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import print_json, say, show, show_audit


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUNS...",
            help="Runs, by name or its beginning. Default: all.",
            show_default=False,
        ),
    ] = None,
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Compare runs, paired over the same test images.

    Corrected for the number of comparisons; a tie is called one.
    """
    from cxrfeat.report.table import RESEARCH_USE, difference_table, score_table
    from cxrfeat.run import all_runs, find_run
    from cxrfeat.study.compare import compare as run

    chosen = [find_run(runs, name) for name in names or [path.name for path in all_runs(runs)]]
    document = run(chosen, seed=seed).to_dict()
    if json:
        print_json(document)
        return
    show_audit(document["audit"])
    show(score_table(document["runs"]))
    show(difference_table(document["comparisons"]))
    say(RESEARCH_USE)

"""`cxrfeat report`: one page of everything known of some runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.again import WORDS
from cxrfeat.cli.console import note, noting, print_json, progress, say, show_failed
from cxrfeat.cli.fields import numbers
from cxrfeat.spec import Projecting


def report(
    names: options.RunNames = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the images: adds heat maps, and names to pictures.")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Whether the page may hold pictures of patients.")
    ] = True,
    network: options.Network = None,
    map_: Annotated[
        Projecting,
        typer.Option(
            "--map",
            help="Layout of the feature map: pca keeps distances; tsne and umap (an extra) keep neighbours.",
        ),
    ] = "pca",
    train_sizes: Annotated[
        str | None,
        typer.Option(
            "--train-sizes",
            metavar="<numbers>",
            help=(
                "Draw a learning curve: the best run's head fitted on these shares of its images, such as "
                "0.1,0.2,0.5,1."
            ),
        ),
    ] = None,
    wanted_width: Annotated[
        float,
        typer.Option(
            "--wanted-width",
            help=(
                "With --train-sizes: say how many patients it would take for intervals of this width, from end to end."
            ),
        ),
    ] = 0.1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The page to write. Default: report.html, or a new name if that page is about other data."
        ),
    ] = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    *,
    folder: reading.Reading,
    strict: options.StrictReading = False,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    redact: options.Redact = False,
) -> None:
    """Write one self-contained page about some runs.

    Verdicts come first, then scores, curves, heat maps, the feature map, copies, and the origin of it all.
    """
    from cxrfeat.reporting.summary import worst_findings
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.workflow.report import report as write

    sizes: tuple[float, ...] = numbers("--train-sizes", train_sizes, float) if train_sizes is not None else ()

    asked = reading.selection(folder, strict=strict)
    with noting(redact=redact, show=not json) as notes, progress("steps", quiet=quiet) as tell:
        made = write(
            names or None,
            folder=runs,
            out=out,
            data=data,
            features=features,
            images=images,
            redact=redact,
            network=network,
            reading=asked,
            projection=map_,
            sizes=sizes,
            wanted_width=wanted_width,
            seed=seed,
            words=WORDS,
            progress=tell,
        )
    for line in made.notes:
        note(f"  {line}", quiet=quiet)
    if json:
        print_json(made.to_dict() | {"notes": notes})
        return
    for part in made.content.data:
        failed = {run.summary["run"]: run.summary["failed_checks"] for run in part.runs}
        worst = [{**one, "why": f"{one['why']} {one['of']}".rstrip()} for one in worst_findings(list(failed.values()))]
        some = [name for name, found in failed.items() if found]
        show_failed(worst, some[0] if len(some) == 1 else f"{len(some)} of {len(failed)} runs")
    say(str(made.path))
    for part in made.content.data:
        for line in part.notes:
            note(f"  {line}", quiet=quiet)
    if made.content.pictured:
        note("  It holds pictures of patients: look at each before you pass it on (--no-images).", quiet=quiet)
    say(RESEARCH_USE)

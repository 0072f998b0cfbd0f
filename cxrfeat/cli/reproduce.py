"""`cxrfeat reproduce`: the paper's fourteen rows next to ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.console import marks, note, noting, print_json, progress, say, show, show_audit
from cxrfeat.cli.words import as_typed
from cxrfeat.spec import NamedWeights, PaperSplit

if TYPE_CHECKING:
    from cxrfeat.reporting.plan import Step
    from cxrfeat.run.folder import Run


def reproduce(
    data: options.Data = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--rows",
            help="Rows by name, separated by commas (DN-V0,ResNet); may be repeated. Default: all fourteen.",
            show_default=False,
        ),
    ] = None,
    classes: reading.Classes = None,
    per_class: Annotated[
        int | None,
        typer.Option("--per-class", help="Images of each class. Default: the paper's 1200, or as many as each has."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Take at most this many of each class, for a trial.")
    ] = None,
    epochs: Annotated[
        int, typer.Option("--epochs", help="Passes over the training images, of heads and networks.")
    ] = 20,
    split: Annotated[
        PaperSplit | None,
        typer.Option(
            "--split-by",
            "--split",
            help=(
                "group: patients and copies stay together; paper: image by image as in the paper, which leaks. "
                "Default: the data's own split, else group."
            ),
        ),
    ] = None,
    views: Annotated[
        int, typer.Option("--views", help="Cached views per image; the paper's way draws one of them per epoch.")
    ] = 8,
    weights: Annotated[
        NamedWeights,
        typer.Option("--weights", help="Where the weights come from. With random weights, scores mean nothing."),
    ] = "imagenet",
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the last reproduction in this folder of runs, with its options."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and what it would cost on this machine, and stop.")
    ] = False,
    max_bad: options.MaxBad = None,
    *,
    images: reading.Reading,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    strict: options.Strict = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    redact: options.Redact = False,
) -> None:
    """Repeat the fourteen rows of the published paper.

    The figures are shown next to the paper's. Each row with a frozen network is computed twice: as in the paper, and as
    it should have been done (the network's own preprocessing and size, all views). What is finished is kept, so the
    same command continues after an interruption.
    """
    from cxrfeat.errors import UsageError
    from cxrfeat.reporting.inventory import quarantine_table
    from cxrfeat.reporting.plan import Options
    from cxrfeat.reporting.reproduction import columns_table, confusion_table, plan_table, reproduction_table
    from cxrfeat.reporting.spark import training_table
    from cxrfeat.reporting.table import RESEARCH_USE, number
    from cxrfeat.workflow.reproduce import rehearse
    from cxrfeat.workflow.reproduce import reproduce as run

    options.too_many_bad(max_bad, 0, 1)
    folder = options.data_folder(data)
    names = tuple(name for each in rows or () for name in each.split(",") if name.strip())
    asked = Options(
        rows=names, classes=reading.class_names(classes), per_class=per_class, limit=limit, epochs=epochs, split=split,
        views=views, weights=weights, seed=seed,
    )  # fmt: skip
    if resume and (asked != Options() or dry_run):
        raise UsageError("--resume continues with the options of that reproduction: omit the others.")
    asked_of = reading.selection(images, strict=strict)
    with noting(redact=redact, show=not json) as notes, progress("images", quiet=quiet) as tell:
        if dry_run:
            document = rehearse(folder, asked, reading=asked_of, progress=tell)
        else:

            def told(step: Step, made: Run) -> None:
                note(f"{step.row.name} ({step.protocol}): {number(made.document.test.accuracy)}", quiet=quiet)

            result = run(
                folder, None if resume else asked, resume=resume, reading=asked_of, features=features, runs=runs,
                tell=told, progress=tell,
            )  # fmt: skip
            document = result.to_dict()
            for failed in document["failed"]:
                failed["why"] = as_typed(failed["why"])
            for one in document["quarantined"]:
                one["path"] = options.shown(one["path"], redact=redact)
    if json:
        print_json(document | {"notes": [*notes, *document["notes"]]})
    elif dry_run:
        show(plan_table(document))
        for line in document["notes"]:
            note(line, quiet=quiet)
    else:
        show_audit(document["audit"])
        show(reproduction_table(document))
        show(columns_table(document))
        show(confusion_table(document))
        proper = {"paper": "", "proper": " (proper)"}
        named = [(step.row.name + proper[step.protocol], made.history()) for step, made in result.made]
        show(training_table(named, marks()))
        show(quarantine_table(document["quarantined"]))
        for one in document["failed"]:
            say(f"{one['row']} ({one['protocol']}): {one['why']}")
        for line in document["notes"]:
            say(line)
        say(RESEARCH_USE)
        note("Next: cxrfeat report " + " ".join(run["run"] for run in document["runs"][:3]) + " ...", quiet=quiet)
    if not dry_run:
        bad = len(document["quarantined"])
        options.refuse_bad(max_bad, bad, sum(document["images"].values()), "the rows were done with the others")
        options.refuse_failed([one for one in result.audit if one.refused], strict=strict)

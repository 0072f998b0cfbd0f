"""`cxrfeat validate`: a run on other hospitals' images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cxrfeat.cli import completion, options, reading
from cxrfeat.cli.console import note, noting, print_json, progress, say, show, show_audit, show_failed, telling


def validate(
    name: Annotated[str, options.RUN],
    data: Annotated[list[Path], typer.Argument(metavar="DATA", help="Folders of images, one for each data set.")],
    *,
    renamed: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="<theirs=ours>",
            help="A class (or finding, or column of a number) of theirs that has another name here, such as "
            "'No Finding=NORMAL'; may be repeated, also to merge several into one.",
            show_default=False,
        ),
    ] = None,
    recalibrate: Annotated[
        float | None,
        typer.Option(
            "--recalibrate",
            metavar="<share>",
            help=(
                "Recalibrate the probabilities on this share of each data set (whole patients), and judge on the rest."
            ),
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="<column,...>",
            help="Subgroups, as in compare. Default: sex, age:40:65 and view_position, where they are known.",
            show_default=False,
            autocompletion=completion.cuts,
        ),
    ] = None,
    seen: Annotated[
        Literal["leave-out", "refuse"],
        typer.Option(
            "--seen", help="What to do with images that the run has seen, and with images of patients that it has seen."
        ),
    ] = "leave-out",
    other_patients: Annotated[
        bool,
        typer.Option(
            "--other-patients",
            help="Take equal patient numbers to mean different people, since each hospital numbers its own.",
        ),
    ] = False,
    images: reading.Images,
    max_bad: options.MaxBad = None,
    network: options.Network = None,
    engine: options.Engine = "auto",
    seed: options.Seed = 0,
    strict: options.Strict = False,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Test a run on other hospitals' images.

    Takes any run: of classes, of a number (fit-head --target age), or of all findings (--target findings). Shows how
    much every score changes, and what may be behind it. Images and patients that the run has seen are found and left
    out. The results are kept in the run's folder, and report shows them.
    """
    from cxrfeat.reporting.inventory import quarantine_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.reporting.target_validation import target_details, target_forest_table
    from cxrfeat.reporting.validation import details, forest_table
    from cxrfeat.run.folder import TargetRun
    from cxrfeat.types import Status
    from cxrfeat.workflow.validate import validate as run

    options.too_many_bad(max_bad, 0, 1)
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=not json) as notes,
        progress("views", quiet=quiet) as tell,
    ):
        made = run(
            name,
            data,
            renamed=options.pairs("--map", renamed),
            recalibrate=recalibrate,
            by=[one for text in by or () for one in text.split(",") if one] or None,
            seen=seen,
            other_patients=other_patients,
            network=network,
            engine=engine,
            selection=reading.selection(images, seed=seed, strict=strict),
            features=features,
            runs=runs,
            seed=seed,
            progress=tell,
        )
    each = [one.to_dict(made.run) for one in made.validated]
    for document in each:
        for image in document["seen"] if redact else ():
            image["image"] = image["image_id"]
        for one in document["quarantined"]:
            one["path"] = options.shown(one["path"], redact=redact)
    if json:
        print_json((each[0] if len(each) == 1 else {"run": made.run.name, "validations": each}) | {"reading": notes})
    else:
        show_failed(each[0]["failed_checks"], made.run.name)
        of_target = isinstance(made.run, TargetRun)
        show((target_forest_table if of_target else forest_table)(each, made.run.name))
        for document in each:
            if len(each) > 1:
                say(f"\n{document['dataset']}")
            show_audit(document["audit"])
            for table in (target_details if of_target else details)(document):
                show(table)
            show(quarantine_table(document["quarantined"]))
            for line in document["notes"]:
                note(f"Note: {line}")
        if not quiet:
            say(f"Kept in {made.run.path / 'validations'}; `cxrfeat report {made.run.name}` shows it.")
        say(RESEARCH_USE)
    bad = sum(len(one.quarantined) for one in made.validated)
    options.refuse_bad(max_bad, bad, sum(one.total for one in made.validated), "the others were judged")
    failed = [one for each in made.validated for one in each.document.audit if one.status is Status.FAIL]
    options.refuse_failed(failed, strict=strict, written="The validation is written; correct")

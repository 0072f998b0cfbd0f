"""`cxrfeat predict`: images through a fitted run."""

from __future__ import annotations

import json as encoding
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.console import note, noting, print_json, progress, say, show, show_audit, show_failed, telling
from cxrfeat.errors import UsageError


def predict(
    name: Annotated[str, options.RUN],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Image files, or folders of images.")],
    coverage: Annotated[
        float | None,
        typer.Option(
            "--coverage",
            metavar="<share>",
            help="Also give the set of classes that cannot be ruled out; it holds the true class for this share, such "
            "as 0.9, of new patients of each class.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold",
            metavar="<name>",
            help="Call each class present or absent, at the threshold that gave sensitivity-0.95, specificity-0.9 or "
            "the like on the validation images.",
            show_default=False,
        ),
    ] = None,
    network: options.Network = None,
    engine: options.Engine = "auto",
    max_bad: options.MaxBad = None,
    follow_links: reading.FollowLinks = None,
    strict: options.StrictReading = False,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="Write one line per image to this file as it is predicted, and show only counts.",
            rich_help_panel=options.OUTPUT,
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help="Print one line of JSON per image on stdout as it is predicted; the first line holds what all share.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Predict the class of any number of images.

    A run of a number (fit-head --target age) predicts the number, a run of all findings (--target findings) each
    finding. Research use only, never diagnosis.
    """
    from cxrfeat.errors import QuarantineError
    from cxrfeat.image.row import Quarantined
    from cxrfeat.reporting.inventory import quarantine_table
    from cxrfeat.reporting.prediction import (
        Tally,
        csv_line,
        csv_titles,
        prediction_table,
        rules_lines,
        tally_table,
    )
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.system.growing import growing
    from cxrfeat.workflow.predict import stream_predictions

    if json and jsonl:
        raise UsageError("--json prints one document and --jsonl a line for each image: leave one of them out.")
    options.too_many_bad(max_bad, 0, 1)
    asked = reading.selection({"follow_links": follow_links or ()}, strict=strict)
    kept: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    tally = Tally()
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=not json) as notes,
        progress("images", quiet=quiet) as tell,
        ExitStack() as stack,
    ):
        stream = stack.enter_context(
            closing(
                stream_predictions(
                    name,
                    images,
                    coverage=coverage,
                    threshold=threshold,
                    network=network,
                    engine=engine,
                    features=features,
                    runs=runs,
                    reading=asked,
                    progress=tell,
                )
            )
        )
        rules = stream.rules.to_dict()
        write = stack.enter_context(growing(csv)) if csv else None
        if write:
            write(csv_titles(stream.rules))
        if jsonl:
            print(encoding.dumps(rules, allow_nan=False), flush=True)
        for one in stream:
            if not isinstance(one, Quarantined):
                tally.add(one)
            told = asdict(one) if isinstance(one, Quarantined) else one.to_dict()
            place = "path" if isinstance(one, Quarantined) else "image"
            told[place] = options.shown(told[place], redact=redact)
            if write:
                write(csv_line(told, stream.rules))
            if jsonl:
                print(encoding.dumps(told, allow_nan=False), flush=True)
            if isinstance(one, Quarantined):
                bad.append(told)
            elif json or not (csv or jsonl):
                kept.append(told)
    checks = [asdict(one) for one in stream.checks]
    if json:
        print_json(
            {
                **rules,
                "rows_computed": stream.done - stream.rows_reused,
                "rows_reused": stream.rows_reused,
                "checks": checks,
                "predictions": kept,
                "quarantined": bad,
                "notes": notes,
            }
        )
    elif not jsonl:
        show_failed(rules["failed_checks"], rules["run"])
        show_audit(checks)
        show(tally_table(tally, rules) if csv else prediction_table({**rules, "predictions": kept}))
        show(quarantine_table(bad))
        for line in rules_lines(rules):
            say(line)
        if stream.rows_reused:
            say(
                f"The features of {stream.rows_reused} of these images were in {features}, "
                f"and the network computed those of {stream.done - stream.rows_reused}."
            )
        if csv:
            say(f"A line for each image is in {csv}.")
        say(RESEARCH_USE)
    else:
        for check in checks:
            note(f"{check['status']}: {check['why']} {check['do']}")
    if options.too_many_bad(max_bad, stream.bad, stream.bad + stream.done):
        raise QuarantineError(
            f"{stream.bad} of {stream.bad + stream.done} images could not be used; those of the others are predicted "
            "above."
        )

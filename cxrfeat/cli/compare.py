"""`cxrfeat compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cxrfeat.cli import completion, options
from cxrfeat.cli.console import marks, print_json, say, show, show_audit
from cxrfeat.errors import UsageError


def compare(
    names: options.RunNames = None,
    view: Annotated[
        Literal["scores", "paper"],
        typer.Option("--view", help="scores: test scores with intervals; paper: the columns of the paper's table."),
    ] = "scores",
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            "--prevalence",
            metavar="CLASS=SHARE",
            help="Also show predictive values at this prevalence of a class, such as COVID=0.1; may be repeated.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Also write all numbers to this CSV file, one row per run.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="<column,...>",
            help="Show scores in subgroups of the test images, and the gaps between them: sex, age:40:65 (cut at "
            "these), view_position, source, date (by years, or date:2020-03:2021). One run is enough.",
            show_default=False,
            autocompletion=completion.cuts,
        ),
    ] = None,
    runs: options.Runs = Path("runs"),
    features: options.Features = Path("features"),
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Compare runs, paired over the same test images.

    P values are corrected for the number of comparisons, and a tie is called a tie. Runs that predict a number are
    compared by their errors, runs of all findings by the AUROC of each finding.
    """
    from cxrfeat.reporting.difference import apart, difference_table, other_difference_table
    from cxrfeat.reporting.score import paper_table, predictive_table, score_table
    from cxrfeat.reporting.spark import confusion_table, training_table
    from cxrfeat.reporting.spreadsheet import comparison_csv
    from cxrfeat.reporting.subgroup_table import gap_table, subgroup_table
    from cxrfeat.reporting.summary import worst_findings
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.reporting.target_tables import target_tables
    from cxrfeat.run.record import to_json
    from cxrfeat.system.files import write_atomic
    from cxrfeat.workflow.compare import compare as run

    stated = _stated(prevalence or [])
    cuts = [cut for text in by or () for cut in text.split(",")]
    compared = run(names or None, seed=seed, prevalence=stated, by=cuts or None, features=features, folder=runs)
    document = compared.to_dict()
    if csv is not None and not document["runs"]:
        raise UsageError("--csv writes runs of classes, and none is here. Take --json for what the others say.")
    if csv is not None:
        write_atomic(csv, comparison_csv(document).encode(errors="backslashreplace"))
    if json:
        print_json(document)
        return
    worst = worst_findings([to_json(one.document.audit) for one in compared.runs])
    show_audit([one | {"why": f"{one['why']} {one['of']}".strip()} for one in worst])
    if document["runs"]:
        show(paper_table(document["runs"]) if view == "paper" else score_table(document["runs"]))
        show(confusion_table(document["runs"][0], marks()))
        show(training_table([(one.document.head, one.history()) for one in compared.runs], marks()))
    if document["comparisons"]:
        show(difference_table(document["comparisons"]))
        show(other_difference_table(document["comparisons"]))
    for one in compared.runs if compared.subgroups else ():
        show(subgroup_table(document["subgroups"], one.name))
        gaps = gap_table(document["gaps"], one.name)
        show(gaps)
        if gaps is None:
            say(f"No two subgroups of {one.name} are large enough to be compared.")
    show(predictive_table(document["runs"]))
    if why := apart(document["comparisons"]):
        say(why)
    for one in document.get("targets", []):
        show_audit([finding for finding in one["audit"] if finding["status"] != "pass"])
        for table in target_tables(one):
            show(table)
        if why := apart(one["comparisons"]):
            say(why)
    say(RESEARCH_USE)


def _stated(texts: list[str]) -> dict[str, float]:
    stated: dict[str, float] = {}
    for text in texts:
        name, _, share = text.rpartition("=")
        if name in stated:
            raise UsageError(f"--prevalence states {name} twice. Leave one of them out.")
        try:
            stated[name] = float(share)
        except ValueError as error:
            raise UsageError(f"--prevalence is a class and its share, such as COVID=0.1; got {text!r}.") from error
    return stated

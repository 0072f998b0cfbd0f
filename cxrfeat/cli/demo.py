"""`cxrfeat demo`: every stage on a phantom set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options
from cxrfeat.cli.again import WORDS


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that the demo writes.")] = Path("demo"),
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run every stage on drawn images; nothing is downloaded.

    The chest images (phantoms) are drawn by code. The network has ImageNet weights if they are on this machine, else
    random ones. Takes about two minutes.
    """
    from typing import Any

    from cxrfeat.cli.console import marks, note, print_json, progress, say, show, show_audit, show_failed
    from cxrfeat.reporting.difference import difference_table
    from cxrfeat.reporting.inventory import extract_table, index_tables
    from cxrfeat.reporting.prediction import prediction_table
    from cxrfeat.reporting.score import class_table, score_table
    from cxrfeat.reporting.spark import confusion_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.workflow.demo import demo as run

    def tell(stage: str, document: dict[str, Any]) -> None:
        if json:
            return
        say(f"--- cxrfeat {stage}")
        if stage == "index":
            for table in index_tables(document):
                show(table)
        elif stage == "audit":
            show_audit(document["checks"], everything=True)
        elif stage == "extract":
            show(extract_table(document["files"]))
        elif stage == "fit-head":
            show_audit(document["audit"])
            show(score_table(document["runs"]))
            say(document["best"]["sentence"])
        elif stage == "compare":
            show(class_table(document["runs"][0]))
            show(confusion_table(document["runs"][0], marks()))
            show(difference_table(document["comparisons"]))
        elif stage == "predict":
            show_failed(document["failed_checks"], document["run"])
            show(prediction_table(document))
        else:
            say("Every checksum of the feature file matches.")

    with progress("steps", quiet=quiet) as on_the_way:
        made = run(out, seed=seed, words=WORDS, tell=tell, progress=on_the_way)
    if json:
        print_json(made.document)
        return
    say("")
    say(RESEARCH_USE)
    say(f"images    {made.data}")
    say(f"features  {made.features}")
    say(f"runs      {made.runs}")
    say(f"report    {made.report}")
    note("Next: cxrfeat index YOUR_FOLDER", quiet=quiet)

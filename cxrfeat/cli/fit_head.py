"""`cxrfeat fit-head`: stage two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import note, print_json, progress, say, show, show_audit


def fit_head(
    file: options.FeaturesFile = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            help="softmax, dense, dropout (the default), logreg, svm-linear, svm-rbf, or all; may be given again.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", help="Cross-validate in this many folds in place of one test part.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Epochs of the Keras heads; 0 leaves them untrained.")] = 20,
    batch: Annotated[int, typer.Option("--batch", help="Rows per step of the Keras heads.")] = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Of the Keras heads.")] = 0.01,
    views_per_epoch: Annotated[
        int | None,
        typer.Option("--views-per-epoch", help="Views per image and epoch, drawn anew. Default: all of them."),
    ] = None,
    standardize: Annotated[
        bool, typer.Option("--standardize", help="Standardise features for the Keras heads (scikit-learn's always do).")
    ] = False,
    strength: Annotated[
        float | None, typer.Option("--strength", help="C of logreg and the SVMs. Default: each head's own.")
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Validate and test on the mean over views.")] = False,
    split_by: Annotated[
        str | None,
        typer.Option(
            "--split-by", "--split", help="group, date, column or paper. Default: the data's own column, else group."
        ),
    ] = None,
    regroup: Annotated[
        bool, typer.Option("--regroup", help="Move patients that the data's own split tears to one side.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Leave with exit code 8 when an audit check fails.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run; with one head.")] = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train and test heads on cached features, in seconds.

    Every score has an interval over patients; failed checks stand above the scores.
    """
    from typing import cast

    from cxrfeat.errors import AuditError
    from cxrfeat.report.table import RESEARCH_USE, class_table, score_table
    from cxrfeat.spec import HeadKind, HeadSpec, SplitBy
    from cxrfeat.study.fit import find_features, fit, head_kinds

    specs = [
        HeadSpec(
            kind=cast(HeadKind, kind),
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            views_per_epoch=views_per_epoch,
            standardize=standardize,
            strength=strength,
            seed=seed,
        )
        for kind in head_kinds(head or ["dropout"])
    ]
    path = find_features(file, features)
    with progress("fits", quiet=quiet or json) as tell:
        result = fit(
            path,
            specs,
            split_by=cast(SplitBy, split_by) if split_by else None,
            regroup_given=regroup,
            fold_count=folds,
            tta=tta,
            seed=seed,
            runs=runs,
            name=name,
            progress=tell,
        )
    document = result.to_dict()
    if json:
        print_json(document)
    else:
        show_audit(document["audit"])
        show(score_table(document["runs"]))
        for run in document["runs"]:
            show(class_table(run))
        for run in document["runs"]:
            say(f"{run['path']}{' (stood already)' if run['reused'] else ''}")
            for line in run["notes"]:
                note(f"  {line}", quiet=quiet)
        say(RESEARCH_USE)
        if len(document["runs"]) > 1:
            note("Next: cxrfeat compare " + " ".join(run["run"] for run in document["runs"][-2:]), quiet=quiet)
        else:
            note(f"Next: cxrfeat predict {document['runs'][0]['run']} IMAGE", quiet=quiet)
    if strict and result.failed:
        failed = ", ".join(finding.check for finding in result.failed)
        raise AuditError(f"The audit failed ({failed}). The runs are written; mend the data, or leave --strict out.")

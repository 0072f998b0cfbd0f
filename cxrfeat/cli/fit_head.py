"""`cxrfeat fit-head`: stage two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import marks, note, print_json, progress, say, show, show_audit


def fit_head(
    file: options.FeaturesFile = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            help="softmax, dense, dropout, logreg, svm-linear, svm-rbf, knn, ridge, all (the first six, the default), "
            "or all+controls; may be given again.",
            show_default=False,
        ),
    ] = None,
    class_weights: Annotated[str, typer.Option("--class-weights", help="none or balanced.")] = "none",
    views: Annotated[
        int | None, typer.Option("--views", help="Cached views to train on, the plain one first. Default: all.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit a temperature on the validation images (SVMs and ridge always do).")
    ] = False,
    epochs: Annotated[
        int, typer.Option("--epochs", help="Networks: passes over the training rows; 0 leaves them untrained.")
    ] = 20,
    batch: Annotated[int, typer.Option("--batch", help="Networks: rows per step.")] = 32,
    optimizer: Annotated[str, typer.Option("--optimizer", help="Networks: sgd (Nesterov) or adam.")] = "sgd",
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Networks: of the first step.")] = 0.01,
    schedule: Annotated[
        str, typer.Option("--schedule", help="Networks: inverse-time, cosine or constant.")
    ] = "inverse-time",
    decay: Annotated[float, typer.Option("--decay", help="Networks: of inverse-time, per step.")] = 1e-6,
    momentum: Annotated[float, typer.Option("--momentum", help="Networks: of sgd.")] = 0.9,
    hidden: Annotated[
        str | None,
        typer.Option("--hidden", help="Networks: units of the hidden layers. Default: 500,200."),
    ] = None,
    dropout: Annotated[
        float, typer.Option("--dropout", help="Networks: share of units dropped, of the head dropout.")
    ] = 0.5,
    l2: Annotated[float, typer.Option("--l2", help="Networks: penalty on squared weights.")] = 0.0,
    label_smoothing: Annotated[
        float,
        typer.Option("--label-smoothing", help="Networks: share of the target spread over all classes."),
    ] = 0.0,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            help="Networks: stop after so many epochs without a lower validation loss, and keep the best.",
        ),
    ] = None,
    views_per_epoch: Annotated[
        int | None,
        typer.Option(
            "--views-per-epoch", help="Networks: views per image and epoch, drawn anew. Default: all of them."
        ),
    ] = None,
    standardize: Annotated[
        bool,
        typer.Option(
            "--standardize/--no-standardize",
            help="Networks: standardise features inside the fold (the others always do); the paper did not.",
        ),
    ] = True,
    strength: Annotated[
        float | None,
        typer.Option("--strength", help="C of logreg, the SVMs and ridge. Default: each head's own."),
    ] = None,
    neighbours: Annotated[
        int, typer.Option("--neighbours", help="Of knn; of fewer rows, the square root of their number vote.")
    ] = 15,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", help="Fits at a time. Default: as many as pay."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option("--folds", help="Cross-validate in this many folds in place of one test part."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", help="Cross-validate so often, dealt anew.")] = 1,
    source_out: Annotated[
        bool,
        typer.Option("--source-out", help="Leave out one source at a time, and test on it."),
    ] = False,
    tta: options.Tta = False,
    split_by: options.SplitBy = None,
    regroup: options.Regroup = False,
    classes: options.Classes = None,
    strict: options.Strict = False,
    show_views: Annotated[
        bool,
        typer.Option("--views-curve", help="Accuracy and cost against the number of cached views."),
    ] = False,
    train_sizes: Annotated[
        str | None,
        typer.Option("--train-sizes", help="Accuracy against shares of the training images, as in 0.1,0.5,1."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run; with one head.")] = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train and test heads on cached features, in seconds: all six, unless some are named.

    Every score that 8 patients of a class bear has an interval over patients; failed checks stand above the scores. Of
    several heads the best is named by the validation images, never by those that test.
    """
    from typing import cast

    from cxrfeat.system.process import collect_rarely

    collect_rarely()  # before the libraries

    from cxrfeat.errors import InputError, UsageError
    from cxrfeat.feature.find import find_features
    from cxrfeat.head.choose import head_kinds
    from cxrfeat.reporting.best import best_sentence
    from cxrfeat.reporting.learning_curve import curve_table
    from cxrfeat.reporting.score import class_table, score_table
    from cxrfeat.reporting.shortcut import shortcut_table, source_table
    from cxrfeat.reporting.spark import confusion_table, training_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.spec import ClassWeights, HeadSpec, Optimizer, Schedule, SplitBy
    from cxrfeat.workflow.fit_head import fit
    from cxrfeat.workflow.learning_curve import Curve, check_curves, learning_curve, views_curve

    by = cast(SplitBy, split_by) if split_by else None
    sizes = _numbers("--train-sizes", train_sizes, float) if train_sizes is not None else None
    if (show_views or sizes) and (source_out or repeats > 1 or regroup or tta):
        raise UsageError("--views-curve and --train-sizes go with --folds or one test part, and nothing else.")
    specs = [
        HeadSpec(
            kind=kind,
            views=views,
            epochs=epochs,
            batch=batch,
            optimizer=cast(Optimizer, optimizer),
            learning_rate=learning_rate,
            schedule=cast(Schedule, schedule),
            decay=decay,
            momentum=momentum,
            hidden=tuple(_numbers("--hidden", hidden, int)) if hidden is not None else None,
            dropout=dropout,
            l2=l2,
            label_smoothing=label_smoothing,
            patience=patience,
            views_per_epoch=views_per_epoch,
            standardize=standardize,
            strength=strength,
            neighbours=neighbours,
            class_weights=cast(ClassWeights, class_weights),
            calibrate=calibrate,
            seed=seed,
        )
        for kind in head_kinds(head or ["all"])
    ]
    path, chosen = find_features(file, features), options.class_names(classes)
    check_curves(path, over_views=show_views, sizes=sizes or ())
    with progress("fits", quiet=quiet) as tell:
        result = fit(
            path,
            specs,
            split_by=by,
            regroup_given=regroup,
            fold_count=folds,
            repeats=repeats,
            source_out=source_out,
            tta=tta,
            seed=seed,
            runs=runs,
            name=name,
            jobs=jobs,
            classes=chosen,
            progress=tell,
        )
        lost = {kind for kind, _ in result.unfitted}
        specs = [spec for spec in specs if spec.kind not in lost]
        curves: list[Curve] = []
        if show_views:
            curves += views_curve(path, specs, split_by=by, fold_count=folds, seed=seed, classes=chosen, progress=tell)
        if sizes:
            curves += learning_curve(
                path, specs, sizes=sizes, split_by=by, fold_count=folds, seed=seed, classes=chosen, progress=tell
            )
    document = result.to_dict() | {"curves": [curve.to_dict() for curve in curves]}
    if json:
        print_json(document)
    else:
        for line in document["notes"]:
            say(line)
        show_audit(document["audit"])
        show(score_table(document["runs"]))
        if result.best is not None and len(result.runs) > 1:
            say(f"{best_sentence(result.best)}\n")
        for run in document["runs"]:
            show(class_table(run))
            show(confusion_table(run, marks()))
        show(training_table([(run.info["head"], run.history()) for run in result.runs], marks()))
        show(source_table(document["runs"]))
        show(shortcut_table(document["runs"]))
        for curve in document["curves"]:
            show(curve_table(curve))
            say(f"  {curve['head']}: {curve['sentence']}")
        for run in document["runs"]:
            say(f"{run['path']}{' (stood already)' if run['reused'] else ''}")
            for line in run["notes"]:
                if line not in document["notes"]:
                    note(f"  {line}", quiet=quiet)
        for one in document["unfitted"]:
            say(f"{one['head']} could not be fitted: {one['why']}")
        say(RESEARCH_USE)
        first = document["best"]["run"] if document["best"] else document["runs"][0]["run"]
        if len(document["runs"]) > 1:
            others = [run["run"] for run in document["runs"] if run["run"] != first]
            note(f"Next: cxrfeat compare {' '.join([first, *others])}", quiet=quiet)
        note(f"Next: cxrfeat predict {first} IMAGE", quiet=quiet)
    if result.unfitted:
        named = ", ".join(kind for kind, _ in result.unfitted)
        raise InputError(
            f"{len(result.unfitted)} of {len(result.unfitted) + len(result.runs)} heads could not be fitted ({named}); "
            "the runs of the others are written. Change what it says above, or name the heads you want with --head."
        )
    options.refuse_failed(result.refused, strict=strict)


def _numbers(option: str, text: str, kind: type[Any]) -> list[Any]:
    """Numbers from a list with commas."""
    from cxrfeat.errors import UsageError

    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} is numbers with commas between them; got {text!r}.") from None

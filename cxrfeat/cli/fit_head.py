"""`cxrfeat fit-head`: stage two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrfeat.call import Call
from cxrfeat.cli import completion, options, reading
from cxrfeat.cli.again import command_line, with_places
from cxrfeat.cli.console import marks, note, noting, print_json, progress, say, show, show_audit
from cxrfeat.cli.fields import numbers
from cxrfeat.cli.words import as_typed
from cxrfeat.spec import CONTROL_KINDS, MAIN_KINDS, AskedHead, HeadSpec

if TYPE_CHECKING:
    from cxrfeat.workflow.regression import TargetResult

_CURVES = "Curves"


def fit_head(
    file: options.FeaturesFile = None,
    head: Annotated[
        list[AskedHead] | None,
        typer.Option(
            "--head",
            help=f"all (the default) is {', '.join(MAIN_KINDS)}; all+controls adds {' and '.join(CONTROL_KINDS)}. May "
            "be repeated.",
            show_default=False,
        ),
    ] = None,
    *,
    jobs: options.Jobs = None,
    runner: options.Runner = "local",
    address: options.Address = None,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    settings: options.Head,
    folds: options.Folds = None,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            help="Repeat the cross-validation this many times, with new folds.",
            rich_help_panel=options.SPLIT,
        ),
    ] = 1,
    source_out: Annotated[
        bool,
        typer.Option(
            "--source-out", help="Leave out one source at a time, and test on it.", rich_help_panel=options.SPLIT
        ),
    ] = False,
    tta: options.Tta = False,
    split_by: options.SplitBy = None,
    regroup: options.Regroup = False,
    target: options.Target = "label",
    uncertain: options.Uncertain = "ignore",
    classes: reading.Classes = None,
    exclude: Annotated[
        Path | None,
        typer.Option(
            "--exclude",
            metavar="<table>",
            help="Images to leave out: the file that `cxrfeat labels --csv` or `cxrfeat audit --copies` wrote, with "
            "yes under leave_out, or a list of ids or paths.",
            show_default=False,
            rich_help_panel=options.IMAGES,
        ),
    ] = None,
    balance_by: Annotated[
        list[str] | None,
        typer.Option(
            "--balance-by",
            metavar="<column,...>",
            help="Weight training images so that the class is independent of these columns: source, sex, age:40:65 "
            "(cut "
            "at these), view_position, date.",
            show_default=False,
            autocompletion=completion.cuts,
            rich_help_panel=options.IMAGES,
        ),
    ] = None,
    show_views: Annotated[
        bool,
        typer.Option(
            "--views-curve", help="Show accuracy and cost against the number of cached views.", rich_help_panel=_CURVES
        ),
    ] = False,
    train_sizes: Annotated[
        str | None,
        typer.Option(
            "--train-sizes",
            metavar="<numbers>",
            help="Show accuracy against shares of the training images, such as 0.1,0.2,0.5,1; a curve is fitted to "
            "four or more.",
            rich_help_panel=_CURVES,
        ),
    ] = None,
    wanted_width: Annotated[
        float,
        typer.Option(
            "--wanted-width",
            help=(
                "With --train-sizes: say how many patients it would take for intervals of this width, from end to end."
            ),
            rich_help_panel=_CURVES,
        ),
    ] = 0.1,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the run; only with a single head.", rich_help_panel=options.PLACES),
    ] = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    strict: options.Strict = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train and test heads on cached features, in seconds.

    Fits all six heads unless you name some. A score has an interval over patients where each class has at least 8 of
    them; failed checks are shown above the scores. Which of several heads is best is decided on the validation images,
    never on the test images.
    """
    from cxrfeat.system.process import collect_rarely

    collect_rarely()  # before the libraries

    from cxrfeat.errors import InputError, UsageError
    from cxrfeat.feature.called import data_folder_of
    from cxrfeat.feature.file import FeatureFile
    from cxrfeat.feature.find import find_features
    from cxrfeat.feature.target import FINDINGS, LABEL, find_target
    from cxrfeat.head.choose import head_kinds
    from cxrfeat.head.learning_curve import LearningCurve
    from cxrfeat.reporting.best import best_sentence
    from cxrfeat.reporting.learning_curve import curve_table, fitted_table, wanted_table
    from cxrfeat.reporting.score import class_table, score_table
    from cxrfeat.reporting.shortcut import encoded_table, shortcut_table, source_table
    from cxrfeat.reporting.spark import confusion_table, training_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.workflow.findings import USUAL, fit_findings
    from cxrfeat.workflow.fit_head import fit
    from cxrfeat.workflow.learning_curve import check_curves, learning_curve, views_curve
    from cxrfeat.workflow.regression import fit_number

    sizes = numbers("--train-sizes", train_sizes, float) if train_sizes is not None else None
    if (show_views or sizes) and (source_out or repeats > 1 or regroup or tta):
        raise UsageError("--views-curve and --train-sizes go with --folds or one test part, and nothing else.")
    cluster = options.cluster(runner, address, workers)
    specs = [HeadSpec(kind=kind, seed=seed, **settings) for kind in head_kinds(head or ["all"])]
    path, chosen = find_features(file, features), reading.class_names(classes)
    balanced = [cut for text in balance_by or () for cut in text.split(",")]
    check_curves(path, over_views=show_views, sizes=sizes or (), wanted_width=wanted_width)
    with FeatureFile(path) as opened:
        is_number = target not in (LABEL, FINDINGS) and find_target(opened, target, uncertain).numeric
        dataset = opened.content.dataset
    if target == FINDINGS or is_number:
        given: Mapping[str, object] = {
            "--folds": folds,
            "--source-out": source_out,
            "--repeats": repeats > 1,
            "--tta": tta,
            "--classes": chosen,
            "--balance-by": balanced,
            "--jobs": jobs,
            "--runner": cluster is not None,
            "--views-curve": show_views,
            "--train-sizes": sizes,
        }
        if wrong := [option for option, value in given.items() if value]:
            raise UsageError(
                f"{wrong[0]} does not go with --target {target}, which takes one test part and draws no curves. Name a "
                "finding or a category with --target."
            )
        wanted = [HeadSpec(kind=kind, seed=seed, **settings) for kind in head_kinds(head or [USUAL])]
        asked: dict[str, Any] = {
            "split_by": split_by,
            "regroup_given": regroup,
            "exclude": exclude,
            "seed": seed,
            "runs": runs,
            "name": name,
        }
        with noting(show=not json) as told, progress("epochs" if is_number else "fits", quiet=quiet) as tell:
            of_target = (
                fit_number(path, target, wanted, **asked, progress=tell)
                if is_number
                else fit_findings(path, wanted, uncertain=uncertain, **asked, progress=tell)
            )
        _show_target(of_target, path, told, strict=strict, json=json, quiet=quiet)
        return
    with noting(show=not json) as told, progress("fits", quiet=quiet) as tell:
        result = fit(
            path,
            specs,
            split_by=split_by,
            regroup_given=regroup,
            fold_count=folds,
            repeats=repeats,
            source_out=source_out,
            tta=tta,
            seed=seed,
            runs=runs,
            name=name,
            jobs=jobs,
            cluster=cluster,
            classes=chosen,
            exclude=exclude,
            balance_by=balanced,
            target=target,
            uncertain=uncertain,
            progress=tell,
        )
        lost = {kind for kind, _ in result.unfitted}
        specs = [spec for spec in specs if spec.kind not in lost]
        curves: list[LearningCurve] = []
        if show_views:
            curves += views_curve(
                path,
                specs,
                split_by=split_by,
                fold_count=folds,
                seed=seed,
                classes=chosen,
                exclude=exclude,
                balance_by=balanced,
                target=target,
                uncertain=uncertain,
                progress=tell,
            )
        if sizes:
            curves += learning_curve(
                path,
                specs,
                sizes=sizes,
                wanted_width=wanted_width,
                split_by=split_by,
                fold_count=folds,
                seed=seed,
                classes=chosen,
                exclude=exclude,
                balance_by=balanced,
                target=target,
                uncertain=uncertain,
                progress=tell,
            )
    document = result.to_dict() | {"curves": [curve.to_dict() for curve in curves]}
    document["notes"] += [line for line in told if json]
    if json:
        print_json(document)
    else:
        for line in document["notes"]:
            say(as_typed(line))
        show_audit(with_places(document["audit"], path, data_folder_of(path.parent, dataset)))
        show(score_table(document["runs"]))
        if result.best is not None and len(result.runs) > 1:
            say(f"{best_sentence(result.best)}\n")
        for run in document["runs"]:
            show(class_table(run))
            show(confusion_table(run, marks()))
        show(training_table([(run.document.head, run.history()) for run in result.runs], marks()))
        show(source_table(document["runs"]))
        show(shortcut_table(document["runs"]))
        show(encoded_table(document["runs"][0]["encoded"]))
        for curve in document["curves"]:
            show(curve_table(curve))
            show(fitted_table(curve))
            show(wanted_table(curve))
            say(f"  {curve['head']}: {curve['sentence']}")
        for run in document["runs"]:
            say(f"{run['path']}{' (already there)' if run['reused'] else ''}")
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
        if not result.runs[0].document.features.spec.from_table:
            note(f"Next: cxrfeat predict {first} IMAGE", quiet=quiet)
    if result.unfitted:
        named = ", ".join(kind for kind, _ in result.unfitted)
        raise InputError(
            f"{len(result.unfitted)} of {len(result.unfitted) + len(result.runs)} heads could not be fitted ({named}); "
            "the runs of the others are written. Change what it says above, or name the heads you want with --head."
        )
    options.refuse_failed(result.refused, strict=strict)


def _show_target(result: TargetResult, path: Path, told: list[str], *, strict: bool, json: bool, quiet: bool) -> None:
    """What runs of a number, or of all findings, say."""
    from cxrfeat.reporting.findings import findings_tables, not_scored_table
    from cxrfeat.reporting.regression import number_tables
    from cxrfeat.reporting.table import RESEARCH_USE

    document = result.to_dict()
    document["notes"] += [line for line in told if json]
    if json:
        print_json(document)
    else:
        for line in document["notes"]:
            say(as_typed(line))
        show_audit(document["audit"])
        if "macro" in document:
            for table in findings_tables(document):
                show(table)
            show(not_scored_table(document))
            say("Shortcuts are looked for where one finding is fitted: --target NAME.")
        else:
            for run in document["runs"]:
                for table in number_tables(run):
                    show(table)
        for run, reused in zip(result.runs, result.reused, strict=True):
            say(f"{run.path}{' (already there)' if reused else ''}")
        say(RESEARCH_USE)
        names = [run.name for run in result.runs]
        if len(names) > 1:
            note(f"Next: cxrfeat compare {' '.join(names)}", quiet=quiet)
        if not result.runs[0].document.features.spec.from_table:
            note(f"Next: cxrfeat predict {names[0]} IMAGE", quiet=quiet)
        if "macro" in document:
            first = max(document["runs"], key=lambda run: run["test"]["auroc"])
            call = Call("fit", (str(path),), {"target": first["target"], "kind": first["head"]})
            note(f"Next: {command_line(call)}", quiet=quiet)
    options.refuse_failed(result.refused, strict=strict)

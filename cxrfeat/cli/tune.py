"""`cxrfeat tune`: choose a head and its settings on the training part alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.console import marks, note, print_json, progress, say, show, show_audit
from cxrfeat.errors import UsageError
from cxrfeat.spec import AskedHead, By, Sampler

if TYPE_CHECKING:
    from cxrfeat.workflow.tune_number import TunedNumber


def tune(
    file: options.FeaturesFile = None,
    head: Annotated[
        list[AskedHead] | None,
        typer.Option(
            "--head",
            help="Kinds of head to choose from, as in fit-head; may be repeated. Default: the six and ridge.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            "--trials",
            help=(
                "Number of configurations to draw, in addition to each kind's default and 45 strengths of logreg and "
                "ridge."
            ),
        ),
    ] = 32,
    inner_folds: Annotated[
        int,
        typer.Option(
            "--inner-folds", help="Number of inner folds of the training part to choose by; patients stay together."
        ),
    ] = 5,
    sampler: Annotated[
        Sampler,
        typer.Option(
            "--sampler", help="halving: drop the worse early; optuna: learn where to look (needs the extra tune)."
        ),
    ] = "halving",
    by: Annotated[
        By | None,
        typer.Option(
            "--by",
            help="Score to choose by. Default: accuracy, or mae for a number (--target age).",
            show_default=False,
        ),
    ] = None,
    jobs: options.Jobs = None,
    runner: options.Runner = "local",
    address: options.Address = None,
    workers: options.Workers = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            help="Search inside each of this many outer folds, and test each choice on its own fold.",
            rich_help_panel=options.SPLIT,
        ),
    ] = None,
    tta: options.Tta = False,
    split_by: options.SplitBy = None,
    regroup: options.Regroup = False,
    target: options.Target = "label",
    uncertain: options.Uncertain = "ignore",
    classes: reading.Classes = None,
    name: options.RunName = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    strict: options.Strict = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Choose a head and its settings, then test them once.

    Every candidate is judged on inner folds of the training part; patients stay together. The same command continues a
    search that was stopped.
    """
    from cxrfeat.system.process import collect_rarely

    collect_rarely()  # before the libraries

    from cxrfeat.feature.file import FeatureFile
    from cxrfeat.feature.find import find_features
    from cxrfeat.feature.target import FINDINGS, LABEL, find_target
    from cxrfeat.reporting.score import class_table, score_table
    from cxrfeat.reporting.search import sentences, tried_table
    from cxrfeat.reporting.shortcut import shortcut_table, source_table
    from cxrfeat.reporting.spark import confusion_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.workflow.tune import tune as search_and_test
    from cxrfeat.workflow.tune_number import tune_number

    cluster = options.cluster(runner, address, workers)
    path = find_features(file, features, "tune")
    if target == FINDINGS:
        raise UsageError("--target findings is all of them, and each is tuned for itself: name one with --target.")
    with FeatureFile(path) as opened:
        is_number = target != LABEL and find_target(opened, target, uncertain).numeric
    if is_number:
        given: Mapping[str, object] = {
            "--folds": folds,
            "--tta": tta,
            "--classes": classes,
            "--jobs": jobs,
            "--runner": cluster is not None,
        }
        if wrong := [option for option, value in given.items() if value]:
            raise UsageError(
                f"{wrong[0]} does not go with --target {target}, a number, which is tuned here, on one test part."
            )
        if by not in (None, "mae", "rmse"):
            raise UsageError(f"--by {by} is of classes; of {target}, a number, choose by mae or rmse.")
        with progress("fits", quiet=quiet) as tell:
            tuned = tune_number(
                path,
                target,
                head,
                trials=trials,
                inner_folds=inner_folds,
                sampler=sampler,
                by="rmse" if by == "rmse" else "mae",
                split_by=split_by,
                regroup_given=regroup,
                seed=seed,
                runs=runs,
                name=name,
                progress=None if tell is None else lambda _, done, total: tell("search", done, total),
            )
        _show_number(tuned, json=json, quiet=quiet)
        options.refuse_failed(tuned.refused, strict=strict)
        return
    with progress("fits", quiet=quiet) as tell:
        result = search_and_test(
            path,
            head,
            trials=trials,
            inner_folds=inner_folds,
            sampler=sampler,
            by=by or "accuracy",
            split_by=split_by,
            regroup_given=regroup,
            fold_count=folds,
            tta=tta,
            seed=seed,
            runs=runs,
            name=name,
            jobs=jobs,
            cluster=cluster,
            classes=reading.class_names(classes),
            target=target,
            uncertain=uncertain,
            # One name for all, or the rate would begin anew with every kind.
            progress=None if tell is None else lambda _, done, total: tell("search", done, total),
        )
    document = result.to_dict()
    (run,) = document["runs"]
    if json:
        print_json(document)
    else:
        for line in document["tuning"]:
            note(line, quiet=quiet)
        show_audit(document["audit"])
        show(score_table(document["runs"]))
        show(class_table(run))
        show(confusion_table(run, marks()))
        show(source_table(document["runs"]))
        show(shortcut_table(document["runs"]))
        show(tried_table(run["search"]))
        found = result.run.document
        for line in () if found.search is None else sentences(found.search, found.test_openings):
            say(line)
        say(f"{run['path']}{' (already there)' if run['reused'] else ''}")
        for line in run["notes"]:
            if line not in document["tuning"]:
                note(f"  {line}", quiet=quiet)
        say(RESEARCH_USE)
        if not found.features.spec.from_table:
            note(f"Next: cxrfeat predict {run['run']} IMAGE", quiet=quiet)
    options.refuse_failed(result.refused, strict=strict)


def _show_number(result: TunedNumber, *, json: bool, quiet: bool) -> None:
    """What a tuned run of a number says."""
    from cxrfeat.reporting.regression import number_tables
    from cxrfeat.reporting.search import sentences, tried_table
    from cxrfeat.reporting.table import RESEARCH_USE

    document = result.to_dict()
    (run,) = document["runs"]
    if json:
        print_json(document)
        return
    for line in document["tuning"]:
        note(line, quiet=quiet)
    show_audit(document["audit"])
    for table in number_tables(run):
        show(table)
    show(tried_table(run["search"]))
    found = result.document
    for line in () if found.search is None else sentences(found.search, found.test_openings):
        say(line)
    say(f"{run['path']}{' (already there)' if run['reused'] else ''}")
    say(RESEARCH_USE)
    if not found.features.spec.from_table:
        note(f"Next: cxrfeat predict {run['run']} IMAGE", quiet=quiet)

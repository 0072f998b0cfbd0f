"""`cxrfeat labels`: which labels are doubtful."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import completion, options, reading
from cxrfeat.cli.console import note, noting, print_json, progress, say, show, show_failed
from cxrfeat.cli.words import as_typed
from cxrfeat.spec import HeadKind


def labels(
    given: Annotated[
        str | None,
        typer.Argument(
            metavar="FEATURES.h5|RUN",
            help="A feature file; or a run, by name or folder, which judges its test images. Default: the only file in "
            "the features folder.",
            show_default=False,
            autocompletion=completion.runs,
        ),
    ] = None,
    head: Annotated[
        HeadKind | None,
        typer.Option(
            "--head",
            help="Head that judges the images of a file, in grouped folds. Default: ridge, with each patient left out "
            "in turn.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option("--folds", help="Grouped folds for --head. Default: 5.", show_default=False),
    ] = None,
    most: Annotated[int, typer.Option("--n", min=0, help="Number of doubtful labels to show.")] = 20,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="Write every label to this file, the most doubtful first, with a column leave_out for your decision, "
            "which `cxrfeat fit-head --exclude` takes.",
        ),
    ] = None,
    classes: reading.Classes = None,
    jobs: options.Jobs = None,
    seed: options.Seed = 0,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    json: options.Json = False,
    quiet: options.Quiet = False,
    redact: options.Redact = False,
) -> None:
    """Rank labels by how doubtful they are.

    Judged by heads that never saw the patient. Says how many labels are expected to be wrong, and changes none: an
    expert decides.
    """
    from cxrfeat.feature.find import find_features
    from cxrfeat.reporting.labels import expected_sentence, joint_table, labels_csv, labels_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.system.files import write_atomic
    from cxrfeat.workflow.labels import labels as run

    with noting(redact=redact, show=not json), progress("fits", quiet=quiet) as tell:
        found = run(
            find_features(None, features, "labels") if given is None else given,
            head=head,
            fold_count=folds,
            seed=seed,
            jobs=jobs,
            classes=reading.class_names(classes),
            features=features,
            runs=runs,
            progress=tell,
        )
    document = found.to_dict()
    judged = [asdict(one) for one in found.judged] if csv is not None else []
    for one in (*document["labels"], *judged) if redact else ():
        one["image"] = one["image_id"]
    if csv is not None:
        # surrogatepass: file names that are not UTF-8 must come back as they were.
        write_atomic(csv, labels_csv(judged).encode("utf-8", "surrogatepass"), private=True)
    if json:
        print_json(document)
        return
    if found.run is not None:
        show_failed(document["failed_checks"], found.run.name)
    for line in document["notes"]:
        say(as_typed(line))
    show(labels_table(document, most))
    show(joint_table(document))
    say(expected_sentence(document))
    say(RESEARCH_USE)
    if csv is None:
        note(
            "Next: add --csv FILE, look at the images, write yes under leave_out where an image is to go.", quiet=quiet
        )

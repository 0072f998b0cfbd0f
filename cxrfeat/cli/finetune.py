"""`cxrfeat finetune`: network and head trained together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cxrfeat.call import Call
from cxrfeat.cli import completion, options, reading
from cxrfeat.cli.again import command_line
from cxrfeat.cli.console import marks, note, noting, print_json, progress, say, show, show_audit
from cxrfeat.cli.fields import help_of
from cxrfeat.spec import AskedPrecision, FinetuneSpec, LinearKind, Recipe, TrainedKind


def finetune(
    data: options.Data = None,
    *,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="<name|path>",
            help="densenet121 (the default), resnet50, vgg16, inceptionv3, xception, scratch (a small untrained "
            "network), or the path of a Keras model.",
            show_default=False,
            autocompletion=completion.trainable_backbones,
        ),
    ] = None,
    head_from: Annotated[
        str | None,
        typer.Option(
            "--head-from",
            metavar="RUN",
            help="Start with the head, the network and the split of this run of fit-head (name or folder).",
            autocompletion=completion.runs,
        ),
    ] = None,
    recipe: Annotated[
        Recipe,
        typer.Option(
            "--recipe",
            help="default: start from a fitted head, take small steps, keep the best epoch; paper: as in the paper.",
        ),
    ] = "default",
    head: Annotated[
        Literal[TrainedKind, LinearKind] | None,
        typer.Option(
            "--head",
            help="The head to fit first if there is no --head-from; logreg by default. With --cold, the head to start "
            "at random.",
            show_default=False,
        ),
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Start from a random head, as the paper did.")] = False,
    seed: options.Seed = 0,
    images: reading.Images,
    max_bad: options.MaxBad = None,
    protocol: options.Protocol,
    training: options.Training,
    precision: Annotated[
        AskedPrecision,
        typer.Option(
            "--precision",
            help=f"{help_of(FinetuneSpec, 'precision')} auto is float16 on a GPU, else float32.",
        ),
    ] = "auto",
    weights: options.Weights = "imagenet",
    preprocess: options.Preprocess = None,
    normalize: options.Normalize = "backbone",
    size: options.Size = None,
    views: options.DrawnViews,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", metavar="FEATURES.h5", help="Take the network, the pixels and the images of this feature file."
        ),
    ] = None,
    image_memory: Annotated[
        float | None,
        typer.Option("--image-memory", help="Memory for decoded images, in GB. Default: a quarter of what is free."),
    ] = None,
    split_by: options.SplitBy = None,
    regroup: options.Regroup = False,
    network: options.Network = None,
    name: options.RunName = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    strict: options.Strict = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    redact: options.Redact = False,
) -> None:
    """Train a network and its head together, end to end.

    If it is killed, the same command continues from the last checkpoint and ends with the same weights. The epoch with
    the lowest validation loss is kept, and the frozen network counts as one, so training that does not help changes
    nothing.
    """
    import math
    from dataclasses import asdict

    from cxrfeat.errors import InputError, UsageError
    from cxrfeat.finetuning.recipe import automatic_precision, find_recipe
    from cxrfeat.reporting.difference import difference_table
    from cxrfeat.reporting.inventory import quarantine_table
    from cxrfeat.reporting.score import class_table, history_table, score_table
    from cxrfeat.reporting.spark import confusion_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.spec import HeadSpec, ViewSpec
    from cxrfeat.workflow.compare import compare
    from cxrfeat.workflow.finetune import WARM
    from cxrfeat.workflow.finetune import finetune as run

    options.too_many_bad(max_bad, 0, 1)  # a wrong --max-bad is refused before the work, not after
    if image_memory is not None and not (math.isfinite(image_memory) and image_memory >= 0):
        raise UsageError(f"--image-memory is GB of memory, at least 0; got {image_memory:g}.")
    if head_from is not None and (cold or head is not None):
        raise UsageError("--head-from names the head to begin with, so neither --cold nor --head goes with it.")
    folder = options.data_folder(data)
    spec, is_cold = find_recipe(
        recipe,
        backbone,
        head=protocol | ({"kind": head} if cold and head else {}),
        precision=automatic_precision(precision),
        **training,
    )
    cold = cold or (is_cold and head is None and head_from is None)
    warm = None if cold else HeadSpec(kind=head, seed=seed) if head else WARM
    view = ViewSpec(size=224 if size is None else size, count=1, **views)
    with noting(redact=redact, show=not json) as notes, progress("images", quiet=quiet) as tell:
        result = run(
            folder,
            backbone=backbone,
            weights=weights,
            preprocess=preprocess,
            normalize=normalize,
            size=size,
            view=view,
            spec=spec,
            head_from=head_from,
            warm=warm,
            cache=cache,
            network=network,
            split_by=split_by,
            regroup_given=regroup,
            selection=reading.selection(images, seed=seed, strict=strict),
            image_memory=None if image_memory is None else int(image_memory * 1e9),
            seed=seed,
            features=features,
            runs=runs,
            name=name,
            progress=tell,
        )
    made, document, began = result.runs[0], result.to_dict(), result.began_with
    against = [] if began is None else compare([began, made], seed=seed).to_dict()["comparisons"]
    bad = [asdict(one) for one in result.quarantined]
    trained = len(made.split().parts)
    for one in bad:
        one["path"] = options.shown(one["path"], redact=redact)
    document |= {"comparisons": against, "quarantined": bad, "notes": notes}
    if json:
        print_json(document)
    else:
        show_audit(document["audit"])
        show(history_table(made.history()))
        show(score_table(document["runs"]))
        show(class_table(document["runs"][0]))
        show(confusion_table(document["runs"][0], marks()))
        if against:
            show(difference_table(against))
        say(f"{made.path}{' (already there)' if result.reused[0] else ''}")
        show(quarantine_table(bad))
        for line in made.document.notes:
            note(f"  {line}", quiet=quiet)
        say(RESEARCH_USE)
        call = Call("extract", (str(folder),), images | {"backbone": made.name})
        note(f"Next: {command_line(call)}", quiet=quiet)
    if made.document.diverged:
        raise InputError(made.document.diverged)
    options.refuse_bad(max_bad, len(bad), len(bad) + trained, "the run of the others is written")
    options.refuse_failed(result.refused, strict=strict)

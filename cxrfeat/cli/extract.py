"""`cxrfeat extract`: stage one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import completion, options, reading
from cxrfeat.cli.console import note, noting, print_json, progress, show, show_audit, telling
from cxrfeat.cli.fields import help_of, numbers
from cxrfeat.spec import FeatureSpec, Pool, Precision, SplitBy, Storage


def extract(
    data: options.Data = None,
    *,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            metavar="<name|path|run>",
            help="densenet121 (the default), resnet50, vgg16, inceptionv3, xception or another that `cxrfeat weights "
            "list` names, the path of a Keras model or an ONNX file, or a run of finetune; may be repeated.",
            show_default=False,
            autocompletion=completion.backbones_and_runs,
        ),
    ] = None,
    engine: options.Engine = "auto",
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="tf32, float16 and bfloat16 are for a GPU, bfloat16 also for a CPU that has it (with openvino); each "
            "gives different features.",
        ),
    ] = "float32",
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="Views per batch. Default: the engine's own.")
    ] = None,
    seed: options.Seed = 0,
    images: reading.AllImages,
    max_bad: options.MaxBad = None,
    weights: options.Weights = "imagenet",
    preprocess: options.Preprocess = None,
    mean: Annotated[
        str | None,
        typer.Option(
            "--mean",
            metavar="<numbers>",
            help="Instead of --preprocess: what your own network subtracts from pixels scaled to 0-1, such as "
            "0.485,0.456,0.406; a single number is for all channels.",
            rich_help_panel=options.PIXELS,
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            "--std",
            metavar="<numbers>",
            help="What it then divides by, such as 0.229,0.224,0.225.",
            rich_help_panel=options.PIXELS,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="<name>",
            help="Which output of an ONNX file to take, or which value inside it. Default: its only output.",
            rich_help_panel=options.PIXELS,
        ),
    ] = None,
    pool: Annotated[
        Pool | None,
        typer.Option("--pool", help=help_of(FeatureSpec, "pool"), rich_help_panel=options.PIXELS),
    ] = None,
    normalize: options.Normalize = "backbone",
    size: options.Size = None,
    split_by: Annotated[
        SplitBy | None,
        typer.Option(
            "--split-by",
            "--split",
            help="With --normalize featurewise: the split whose training part gives the mean and the deviation.",
            rich_help_panel=options.PIXELS,
        ),
    ] = None,
    views: options.Views,
    storage: Annotated[
        Storage,
        typer.Option("--storage", help=help_of(FeatureSpec, "storage"), rich_help_panel=options.PLACES),
    ] = "float32",
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="<I/N>",
            help="Compute only share I of N, as one process of a job array; `cxrfeat merge` builds the file.",
            rich_help_panel=options.CLUSTER,
        ),
    ] = None,
    runner: options.Runner = "local",
    address: options.Address = None,
    workers: options.Workers = None,
    gpus_per_worker: Annotated[
        float,
        typer.Option(
            "--gpus-per-worker",
            min=0,
            help="With --runner ray: GPUs for each worker; 0.5 lets two workers share one.",
            rich_help_panel=options.CLUSTER,
        ),
    ] = 0,
    devices: Annotated[
        str | None,
        typer.Option(
            "--devices",
            metavar="<all|numbers>",
            help="Use several GPUs of this machine, with one process for each: all, or their numbers, such as 0,1.",
            show_default=False,
            rich_help_panel=options.CLUSTER,
        ),
    ] = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    strict: options.StrictReading = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Turn images into cached features, each network run once.

    If it is killed, interrupted or out of space, nothing finished is lost, and the same command continues. The engine,
    and whether threads or processes prepare the images, are chosen for the machine and the job; the table and the JSON
    document say which.
    """
    import shlex
    from dataclasses import asdict

    from cxrfeat.errors import UsageError
    from cxrfeat.reporting.inventory import extract_table, quarantine_table, share_table
    from cxrfeat.spec import SplitSpec, ViewSpec
    from cxrfeat.system.process import collecting_later

    with collecting_later():
        from cxrfeat.workflow.extract import extract as run

    options.too_many_bad(max_bad, 0, 1)  # a wrong --max-bad is refused before the work, not after
    folder = options.data_folder(data)
    cluster = options.cluster(runner, address, workers, gpus_per_worker)
    view = ViewSpec(size=224 if size is None else size, seed=seed, **views)
    split = SplitSpec(by=split_by, seed=seed) if split_by else None
    if split is not None and normalize != "featurewise":
        raise UsageError(
            "--split-by splits the images for --normalize featurewise only; other features fit any split. "
            "Say it to the command that trains: `cxrfeat fit-head --split-by ...`."
        )
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=not json) as notes,
        progress("views", quiet=quiet) as tell,
    ):
        made = run(
            folder,
            backbone=backbone or ["densenet121"],
            views=view.count,
            weights=weights,
            preprocess=preprocess,
            mean=None if mean is None else numbers("--mean", mean, float),
            std=None if std is None else numbers("--std", std, float),
            output=output,
            pool=pool,
            normalize=normalize,
            size=size,
            view=view,
            storage=storage,
            precision=precision,
            engine=engine,
            batch=batch,
            seed=seed,
            split_spec=split,
            selection=reading.selection(images, seed=seed, strict=strict),
            features=features,
            runs=runs,
            shard=shard,
            cluster=cluster,
            devices=devices,
            progress=tell,
        )
    bad = [
        {"path": options.shown(one.path, redact=redact), "stage": one.stage, "reason": one.reason}
        for one in made.quarantined
    ]
    if made.shares:
        each = [one.to_dict() for one in made.shares]
        if json:
            print_json({"files": [], "audit": [], "shares": each, "quarantined": bad, "notes": notes})
        else:
            show(share_table(each))
            show(quarantine_table(bad))
            note(f"Once all shares are there: cxrfeat merge {shlex.quote(str(features))}", quiet=quiet)
        return
    if json:
        files = [{**one.to_dict(), "quarantined": bad} for one in made.files]
        print_json({"files": files, "audit": [asdict(one) for one in made.audit], "notes": notes})
    else:
        show_audit([asdict(one) for one in made.audit])
        show(extract_table([one.to_dict() for one in made.files]))
        show(quarantine_table(bad))
        note(f"Next: cxrfeat fit-head {shlex.quote(str(made.files[0].path))}", quiet=quiet)
    options.refuse_bad(max_bad, len(bad), len(bad) + made.files[0].images, "the features of the others are written")

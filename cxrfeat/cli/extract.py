"""`cxrfeat extract`: stage one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrfeat.cli import options
from cxrfeat.cli.console import note, noting, print_json, progress, show, show_audit


def extract(
    data: options.Data = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            help="densenet121 (the default), resnet50, vgg16, inceptionv3, xception, the path of a Keras model, or a "
            "run of finetune; give it again for more than one.",
            show_default=False,
        ),
    ] = None,
    views: Annotated[int, typer.Option("--views", help="Views per image: one plain, the others drawn.")] = 8,
    weights: options.Weights = "imagenet",
    preprocess: options.Preprocess = None,
    normalize: options.Normalize = "backbone",
    size: options.Size = None,
    border_crop: options.BorderCrop = 0.0,
    border_darken: options.BorderDarken = 0.0,
    mask: options.Mask = "none",
    remove_letters: options.RemoveLetters = False,
    zoom: options.Zoom = 1.2,
    flip: options.Flip = True,
    float16: Annotated[bool, typer.Option("--float16", help="Store half precision: half the file.")] = False,
    engine: Annotated[
        str, typer.Option("--engine", help="auto, keras, openvino or onnx (faster on a CPU; converted once).")
    ] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="float32; float16 or bfloat16 for a GPU. Other features, not the same.")
    ] = "float32",
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="Views per batch. Default: the engine's own.")
    ] = None,
    split_by: Annotated[
        str | None,
        typer.Option("--split-by", "--split", help="With --normalize featurewise: group, date, column or paper."),
    ] = None,
    classes: options.Classes = None,
    per_class: options.PerClass = None,
    limit: options.Limit = None,
    patient_regex: options.PatientRegex = None,
    follow_links: options.FollowLinks = None,
    strict: options.StrictReading = False,
    max_bad: options.MaxBad = None,
    features: options.Features = Path("features"),
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    redact: options.Redact = False,
) -> None:
    """Turn images into cached features, each network run once.

    Killed, interrupted or out of space: nothing finished is lost, and the same command continues.
    """
    import shlex
    from dataclasses import asdict
    from typing import cast

    from cxrfeat.errors import UsageError
    from cxrfeat.reporting.inventory import extract_table, quarantine_table
    from cxrfeat.spec import Masking, Normalize, Precision, SplitBy, SplitSpec, ViewSpec
    from cxrfeat.workflow.extract import extract as run

    options.too_many_bad(max_bad, 0, 1)  # a wrong --max-bad is refused before the work, not after
    folder = options.data_folder(data)
    view = ViewSpec(
        size=224 if size is None else size,
        count=views,
        zoom=(1.0, zoom),
        flip=flip,
        border_crop=border_crop,
        border_darken=border_darken,
        letters=remove_letters,
        mask=cast(Masking, mask),  # ViewSpec checks it
        seed=seed,
    )
    split = SplitSpec(by=cast(SplitBy, split_by), seed=seed) if split_by else None
    if split is not None and normalize != "featurewise":
        raise UsageError(
            "--split-by parts the images for --normalize featurewise only; other features fit any split. "
            "Say it to the command that trains: `cxrfeat fit-head --split-by ...`."
        )
    with noting(redact=redact, show=not json) as notes, progress("views", quiet=quiet) as tell:
        made = run(
            folder,
            backbone=backbone or ["densenet121"],
            views=views,
            weights=weights,
            preprocess=preprocess,
            normalize=cast(Normalize, normalize),  # FeatureSpec checks it
            size=size,
            view=view,
            storage="float16" if float16 else "float32",
            precision=cast(Precision, precision),
            engine=engine,
            batch=batch,
            seed=seed,
            split_spec=split,
            selection=options.selection(
                classes, per_class, limit, seed, patient_regex, follow_links=follow_links, strict=strict
            ),
            features=features,
            runs=runs,
            progress=tell,
        )
    bad = [
        {"path": options.shown(one.path, redact=redact), "stage": one.stage, "reason": one.reason}
        for one in made.quarantined
    ]
    if json:
        files = [{**one.to_dict(), "quarantined": bad} for one in made.files]
        print_json({"files": files, "audit": [asdict(one) for one in made.audit], "notes": notes})
    else:
        show_audit([asdict(one) for one in made.audit])
        show(extract_table([one.to_dict() for one in made.files]))
        show(quarantine_table(bad))
        note(f"Next: cxrfeat fit-head {shlex.quote(str(made.files[0].path))}", quiet=quiet)
    options.refuse_bad(max_bad, len(bad), len(bad) + made.files[0].images, "the features of the others are written")

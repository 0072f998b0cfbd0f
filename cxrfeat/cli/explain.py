"""`cxrfeat explain`: where in an image a class comes from, and what a network sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.again import WORDS
from cxrfeat.cli.console import note, noting, print_json, progress, say, show, show_audit, show_failed, telling
from cxrfeat.spec import AskedExplaining

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cxrfeat.image.row import Selection
    from cxrfeat.run.folder import Run


def explain(
    name: Annotated[str, options.RUN],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGES", help="Image files, or folders of images.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="The run's data folder: shows some of its test images and judges the heat of up to 400 of them (with "
            "occlusion, only of those shown).",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--class", help="The class to explain. Default: the one predicted for each image.")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--n", help="With --data: number of test images to show. Default: 12.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for pictures and JSON. Default: explained/RUN.")
    ] = None,
    method: Annotated[
        AskedExplaining,
        typer.Option("--method", help="How heat is computed; auto is cam where that is exact, else gradcam."),
    ] = "auto",
    layer: Annotated[
        str | None,
        typer.Option("--layer", help="Show the maps of this layer for one image (add --data if the run uses masks)."),
    ] = None,
    unit: Annotated[
        list[int] | None,
        typer.Option("--unit", help="With --layer and --data: show the patches that excite this channel."),
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Number of patches for each unit.")] = 9,
    network: options.Network = None,
    limit: reading.Limit = None,
    *,
    folder: reading.Reading,
    max_bad: options.MaxBad = None,
    strict: options.Strict = False,
    seed: options.Seed = 0,
    runs: options.Runs = Path("runs"),
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Show where in an image the evidence for a class lies.

    Also judges whether that is where it should be. Heat is evidence for a class, not the outline of a disease. Research
    use only, never diagnosis.
    """
    from cxrfeat.errors import AuditError, UsageError
    from cxrfeat.explaining.job import SHOWN
    from cxrfeat.reporting.explain import image_table, mean_table
    from cxrfeat.reporting.inventory import quarantine_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.run.folder import find_run
    from cxrfeat.workflow.explain import explain as run

    options.too_many_bad(max_bad, 0, 1)
    if unit and layer is None:
        raise UsageError("--unit names a channel of a layer: name the layer with --layer.")
    if layer is not None:
        given: Mapping[str, object] = {
            "--class": target,
            "--n": count,
            "--method": method != "auto",
            "--strict": strict,
        }
        _refuse(given, "--layer shows a layer, and neither explains a class nor judges heat")
    elif data is None:
        _refuse(
            {"--n": count, "--limit": limit},
            "Without --data every image named is shown and none is judged",
        )
    found = find_run(name, runs=runs)
    out = out or Path("explained") / found.name  # so that no run's pictures take the place of another's
    selection = reading.selection(folder, seed=seed, strict=strict, limit=limit)
    if layer is not None:
        with telling(verbose=verbose, quiet=quiet):
            _layer(
                found, images or [], data, layer, unit or [], top, out, network, selection, max_bad, json, quiet, redact
            )
        return
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=not json) as said,
        progress("images", quiet=quiet) as tell,
    ):
        result = run(
            found,
            images or [],
            data=data,
            target=target,
            count=SHOWN if count is None else count,
            method=method,
            out=out,
            network=network,
            selection=selection,
            redact=redact,
            seed=seed,
            words=WORDS,
            progress=tell,
        )
    document = result.to_dict()
    if json:
        print_json(document | {"notes": [*said, *document["notes"]]})
    else:
        show_failed(document["failed_checks"], found.name)
        show_audit(document["checks"], everything=True)
        show(image_table(document))
        show(mean_table(document))
        show(quarantine_table(document["quarantined"]))
        for one in document["notes"]:
            note(one, quiet=quiet)
        say(str(out))
        say(RESEARCH_USE)
    options.refuse_bad(max_bad, len(result.quarantined), result.total, "the pictures of the others are written")
    heat, own = [one.check for one in result.failed], [one.check for one in found.failed_checks]
    told = [f"The heat does not lie where it should ({', '.join(heat)})."] if heat else []
    told += [f"The run failed its audit when it was fitted ({', '.join(own)})."] if own else []
    if strict and told:
        raise AuditError(f"{' '.join(told)} The pictures are written all the same.")


def _refuse(given: Mapping[str, object], why: str) -> None:
    from cxrfeat.errors import UsageError

    names = [name for name, value in given.items() if value is not None and value is not False]
    if names:
        raise UsageError(f"{why}: leave out {', '.join(names)}.")


def _layer(
    run: Run,
    images: list[Path],
    data: Path | None,
    layer: str,
    units: list[int],
    top: int,
    out: Path,
    network: Path | None,
    selection: Selection,
    max_bad: str | None,
    json: bool,
    quiet: bool,
    redact: bool,
) -> None:
    from cxrfeat.errors import UsageError
    from cxrfeat.reporting.explain import maps_table, patch_tables
    from cxrfeat.reporting.inventory import quarantine_table
    from cxrfeat.run.record import to_json
    from cxrfeat.workflow.explain import activation_maps, top_patches

    if units:
        if data is None or images:
            raise UsageError("--unit looks for patches in a data set: name it with --data, and no images.")
        with noting(redact=redact, show=not json) as said, progress("images", quiet=quiet) as tell:
            patches = top_patches(
                run, layer, units, data, top=top, out=out, network=network, selection=selection, redact=redact,
                progress=tell,
            )  # fmt: skip
        document, bad = patches.to_dict(), len(patches.quarantined)
        total = patches.images + bad
        tables = patch_tables(document)
    else:
        if len(images) != 1:
            raise UsageError("--layer shows the maps of one image: name one, or add --unit and --data for patches.")
        with noting(redact=redact, show=not json) as said:
            maps = activation_maps(
                run, images[0], layer, data=data, out=out, network=network, selection=selection, redact=redact
            )
        document, bad, total = maps.to_dict(), 0, 1
        tables = [maps_table(document)]
    document["failed_checks"] = to_json(run.failed_checks)
    if json:
        print_json(document | {"notes": said})
    else:
        show_failed(document["failed_checks"], run.name)
        for table in tables:
            show(table)
        show(quarantine_table(document.get("quarantined", [])))
        say(str(out))
    options.refuse_bad(max_bad, bad, total, "the patches of the others are written")

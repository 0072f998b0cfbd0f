"""`cxrfeat audit`: does it see the disease, or where the picture came from?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrfeat.cli import options, reading
from cxrfeat.cli.again import WORDS
from cxrfeat.cli.console import noting, print_json, progress, say, show, show_audit, telling


def audit(
    data: options.Data = None,
    *,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            help=(
                "A feature file of these images: adds checks of the features, and controls through the network that "
                "see no lungs."
            ),
        ),
    ] = None,
    mitigate: Annotated[
        bool,
        typer.Option(
            "--mitigate",
            help="Compare ways to make the network look at the lungs, and the head at the disease; needs --cache.",
        ),
    ] = False,
    network: options.Network = None,
    folds: Annotated[int, typer.Option("--folds", help="Number of folds of the grouped cross-validation.")] = 5,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write a page with all checks and the images concerned.")
    ] = None,
    copies: Annotated[
        Path | None,
        typer.Option(
            "--copies",
            help="Write every pair of copies as CSV: both paths, kind, distance, patients, parts, labels, and which of "
            "the two to leave out.",
        ),
    ] = None,
    images: reading.Images,
    seed: options.Seed = 0,
    strict: options.Strict = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Check whether a score on these images means anything.

    Looks at sources, file formats, copies, patients, controls that see no lungs, letters and odd images.
    """
    from cxrfeat.auditing.copies import write_copies
    from cxrfeat.reporting.audit import control_table, mitigation_table, pairs_table, sources_table
    from cxrfeat.reporting.audit_page import write_page
    from cxrfeat.reporting.place import check_place
    from cxrfeat.reporting.shortcut import encoded_table
    from cxrfeat.reporting.table import RESEARCH_USE
    from cxrfeat.workflow.audit import audit as run

    for place, field, usual in ((page, "page", "audit.html"), (copies, "copies", "copies.csv")):
        if place is not None:
            check_place(place, field, usual)
    folder = options.data_folder(data)
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=not json) as notes,
        progress("images", quiet=quiet) as tell,
    ):
        result = run(
            folder,
            cache=cache,
            network=network,
            mitigate=mitigate,
            fold_count=folds,
            selection=reading.selection(images, seed=seed),
            seed=seed,
            places=not redact,
            progress=tell,
        )
    document = result.to_dict() | {"notes": notes}
    if redact:
        document = _redacted(document, result.contents)
    if page is not None:
        write_page(page, document, None if redact else folder, WORDS)
    if copies is not None:
        write_copies(copies, document["copies"])
    if json:
        print_json(document)
    else:
        show_audit(document["checks"], everything=True)
        show(sources_table(document["sources"]))
        show(control_table(document["controls"]))
        show(encoded_table(document["encoded"]))
        show(pairs_table(document["within_source"]))
        show(mitigation_table(document["mitigations"]))
        for place in (page, copies):
            if place is not None:
                say(str(place))
        say(RESEARCH_USE)
    options.refuse_failed(result.failed, strict=strict, written="Correct")


def _redacted(document: dict[str, Any], contents: dict[str, str]) -> dict[str, Any]:
    """The document with ids in place of paths: those of the manifest."""
    from cxrfeat.cli.options import shown_note
    from cxrfeat.image.identity import Identity

    identity = Identity.load()

    def named(path: str) -> str:
        return identity.image_id(path, contents.get(path, ""))

    return document | {
        "checks": [
            one
            | {
                "why": shown_note(one["why"], redact=True),
                "images": [named(path) for path in one["images"]],
            }
            for one in document["checks"]
        ],
        "copies": [
            one | {name: named(one[name]) for name in ("image", "copy", "leave_out") if one[name]}
            for one in document["copies"]
        ],
        "quarantined": [one | {"path": named(one["path"])} for one in document["quarantined"]],
    }

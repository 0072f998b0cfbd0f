"""`cxrfeat index`: what is in a folder."""

from __future__ import annotations

from cxrfeat.call import Call
from cxrfeat.cli import options, reading
from cxrfeat.cli.again import command_line
from cxrfeat.cli.console import note, noting, print_json, progress, say, show, telling
from cxrfeat.cli.words import as_typed


def index(
    data: options.Data = None,
    *,
    images: reading.AllImages,
    strict: options.StrictReading = False,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Show what a folder of images contains.

    Lists classes, sizes, patients, sources, copies and bad files. Every image is decoded, so damaged ones are found
    now.
    """
    from cxrfeat.image.index import index_folder, summary
    from cxrfeat.image.note import refuse_losses
    from cxrfeat.reporting.inventory import index_tables
    from cxrfeat.types import named

    folder = options.data_folder(data)
    with (
        telling(verbose=verbose, quiet=quiet),
        noting(redact=redact, show=False),
        progress("files", quiet=quiet) as tell,
    ):
        manifest = index_folder(
            folder,
            reading.selection(images, seed=seed),
            decode_all=True,
            progress=named(tell, "reading"),
        )
    found = summary(manifest)
    for bad in found["quarantined"]:
        bad["path"] = options.shown(bad["path"], redact=redact)
    for other in found.get("aside", ()):
        other["path"] = options.shown(other["path"], redact=redact)
    found["notes"] = [as_typed(options.shown_note(line, redact=redact)) for line in found["notes"]]
    if json:
        print_json(found)
    else:
        for table in index_tables(found):
            show(table)
        for line in found["notes"]:
            say(f"Note: {line}")
        call = Call("extract", (str(folder),), images | ({"seed": seed} if seed else {}) | {"backbone": "densenet121"})
        note(f"Next: {command_line(call)}", quiet=quiet)
    if strict:
        refuse_losses(manifest.notes)

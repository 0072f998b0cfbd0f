"""`cxrfeat index`: what is in a folder."""

from __future__ import annotations

from cxrfeat.cli import options
from cxrfeat.cli.console import note, noting, print_json, progress, say, show, telling
from cxrfeat.cli.words import as_typed, words_of


def index(
    data: options.Data = None,
    classes: options.Classes = None,
    per_class: options.PerClass = None,
    limit: options.Limit = None,
    patient_regex: options.PatientRegex = None,
    follow_links: options.FollowLinks = None,
    masks: options.Masks = None,
    metadata: options.Metadata = None,
    column: options.Column = None,
    published: options.PublishedSet = None,
    strict: options.StrictReading = False,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    redact: options.Redact = False,
) -> None:
    """Tell what is in a folder of images.

    Classes, sizes, patients, sources, copies, bad files. Every image is decoded, so that a damaged one is found now.
    """
    import shlex

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
            options.selection(
                classes,
                per_class,
                limit,
                seed,
                patient_regex,
                follow_links=follow_links,
                masks=masks,
                metadata=metadata,
                column=column,
                published=published,
            ),
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
        titles = [f"{name}={title}" for name, title in options.columns(column).items()]
        given = shlex.join(
            [*words_of("metadata", metadata), *words_of("column", titles or None), *words_of("published", published)]
        )
        read = f" {given}" if given else ""
        note(f"Next: cxrfeat extract {shlex.quote(str(folder))}{read} --backbone densenet121", quiet=quiet)
    if strict:
        refuse_losses(manifest.notes)

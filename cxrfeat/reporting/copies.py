"""Which images of a feature file are copies of each other, as a page shows it."""

from __future__ import annotations

from collections.abc import Sequence

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.duplicate import Pair, find_duplicates
from cxrfeat.image.manifest_file import manifest_path, read_patients
from cxrfeat.reporting.content import Copy
from cxrfeat.reporting.tiles import TileSheet

LOOKED_THROUGH = 6000
"""Images that are searched for copies while somebody waits; `cxrfeat audit` searches any number."""


def copies_in(
    file: FeatureFile, sheet: TileSheet, names: Sequence[str], parts: Sequence[str | None]
) -> tuple[Copy, ...] | None:
    """The copies among the images of a feature file; `None` where too many are to be looked through, or none is seen.

    Args:
        file: The file.
        sheet: Numbers the small pictures.
        names: What each image is called.
        parts: The part that each is in, where it is in one.
    """
    if file.images > LOOKED_THROUGH or not file.has_pictures:
        return None
    columns, patients = file.content.columns, _patients(file)
    pairs = find_duplicates(file.content_sha256, columns["portrait"], columns["pixel_digest"])
    return tuple(
        Copy(
            tiles=(sheet.number_of(pair.one), sheet.number_of(pair.other)),
            names=(names[pair.one], names[pair.other]),
            classes=(file.classes[file.labels[pair.one]], file.classes[file.labels[pair.other]]),
            how=_how(pair, patients, parts),
        )
        for pair in pairs
    )


def _patients(file: FeatureFile) -> list[str | None]:
    """Whose each image is, as far as the private manifest says: the one file that may."""
    place = manifest_path(file.path.parent, file.content.dataset)
    known = read_patients(place) if place.is_file() else {}
    return [known.get(image_id) for image_id in file.image_ids]


def _how(pair: Pair, patients: Sequence[str | None], parts: Sequence[str | None]) -> str:
    """In what two copies differ, whose they are, and whether a split divides them."""
    how = {"bytes": "The same file.", "pixels": "The same pixels in another file."}.get(
        pair.kind, f"Nearly the same picture (similarity {pair.similarity:.2f})"
    )
    if pair.kind == "near":
        how += f", {pair.change}." if pair.change else "."
    if patients[pair.one] is not None and patients[pair.one] == patients[pair.other]:
        how += " Of one patient."
    one, other = parts[pair.one], parts[pair.other]
    if one is not None and other is not None and one != other:
        how += f" In two parts: {one} and {other}."
    return how

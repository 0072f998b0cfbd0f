"""What a data set is called in file names, before anything is known of other data sets next to it."""

from __future__ import annotations

import re
from pathlib import Path

from cxrfeat.image.row import Selection
from cxrfeat.spec import canonical_sha256


def dataset_name(root: Path, selection: Selection) -> str:
    """The folder's name, fit for file names, with a mark of what was chosen: a part never replaces the whole.

    Example:
        >>> dataset_name(Path("/there/chest images"), Selection())
        'chest-images'
        >>> dataset_name(Path("/there/chest images"), Selection(limit=5))
        'chest-images.93433b'
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name)[:80].lstrip(".-").rstrip(".") or "data"
    drawn = selection.per_class is not None or selection.limit is not None
    read = {
        "metadata": None if selection.metadata is None else selection.metadata.name,
        "column": dict(sorted(selection.column.items())),
        "published": selection.published,
        "projection": selection.projection,
    }
    if not drawn and not selection.classes and not any(read.values()):
        return name
    choice = {
        "classes": sorted(set(selection.classes)),
        "per_class": selection.per_class,
        "limit": selection.limit,
        "seed": selection.seed if drawn else None,
    } | {name: value for name, value in read.items() if value}
    return f"{name}.{canonical_sha256(choice)[:6]}"

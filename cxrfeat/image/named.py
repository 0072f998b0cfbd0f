"""The images that a user names one by one, or by their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.image.layout import find_images
from cxrfeat.image.note import refuse_losses, tell
from cxrfeat.image.row import Quarantined, Selection


def named_images(images: Sequence[Path], reading: Selection | None = None) -> tuple[list[Path], list[Quarantined]]:
    """The image files that paths name: themselves, or those in folders, sorted; and those that cannot even be opened.

    What folders hold besides is told as by `index`.

    Args:
        images: Files, or folders.
        reading: How folders are read: its `follow_links` and its `strict`.

    Raises:
        InputError: If there is nothing at a path, or no image in a folder.
        AuditError: If the reading is strict, and images are lost.
    """
    reading = reading or Selection()
    paths: list[Path] = []
    bad: list[Quarantined] = []
    for image in images:
        if image.is_dir():
            found = find_images(image, reading.follow_links)
            tell(found.notes)
            if reading.strict:
                refuse_losses(found.notes)
            paths += [image / path for path in found.paths]
            bad += [
                Quarantined(path=str(image / path), stage="open", reason=why) for path, why in found.problems.items()
            ]
        elif image.exists():
            paths.append(image)
        else:
            raise InputError(f"There is no image {image}. Check the path.")
    return paths, bad

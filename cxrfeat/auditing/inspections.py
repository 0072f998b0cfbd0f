"""The audit's pass over a data set: each file is read and decoded once, for the manifest and all checks together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import DECODE_STEPS, decode_with_colour
from cxrfeat.image.figure import STEPS as LETTER_STEPS
from cxrfeat.image.index import Chosen, index_with
from cxrfeat.image.inspect import Inspection, inspect_image
from cxrfeat.image.mask import MaskFile, open_mask
from cxrfeat.image.row import ImageRow, Manifest
from cxrfeat.spec import ViewSpec
from cxrfeat.system.compiled import want_compiled
from cxrfeat.types import Counted, Views
from cxrfeat.view.prepare import Wanted, prepare_image

Inspected = dict[str, Inspection | BadImageError]
"""What each image of a manifest shows, by path; the error where its pixels cannot be used."""

_STEPS = DECODE_STEPS + LETTER_STEPS + 1
"""How long that takes of an image, about as many times what one view takes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changed:
    """What a network is given of an image."""

    views: Views
    """`(descriptions, size, size)`: one of each."""
    mask: MaskFile | None
    """The file of the image's lung mask, where it has one."""


def inspect_folder(
    chosen: Chosen,
    progress: Counted | None = None,
    *,
    views: Sequence[ViewSpec] = (),
    take: Callable[[ImageRow, Changed], None] | None = None,
) -> tuple[Manifest, Inspected]:
    """Index a data folder, and inspect its images.

    Args:
        chosen: The images to read.
        progress: Called with (files done, files in all), from the calling thread.
        views: How to change each image, one view each; the template stands in for a lung mask that is missing or
            cannot be used.
        take: Given each image that can be used so changed, from the calling thread, as they come; unless it is given,
            neither views are drawn nor masks are read.

    Returns:
        The manifest, as `index_folder` gives it, and the inspection of each of its images.

    Raises:
        InputError: As `index_folder`.
    """
    want_compiled(len(chosen.entries) * (LETTER_STEPS + len(views)))
    if take is None:
        return index_with(_inspected, chosen, keep=_itself, steps=_STEPS, progress=progress)

    def keep(row: ImageRow, seen: tuple[Inspection, Changed] | BadImageError) -> Inspection | BadImageError:
        if isinstance(seen, BadImageError):
            return seen
        inspection, changed = seen
        take(row, changed)
        return inspection

    return index_with(
        partial(_changed, chosen.root, tuple(views)),
        chosen,
        keep=keep,
        steps=_STEPS + len(views),
        progress=progress,
    )


def _itself(_row: ImageRow, seen: Inspection | BadImageError) -> Inspection | BadImageError:
    return seen


def _inspected(content: bytes, _row: ImageRow) -> Inspection | BadImageError:
    try:
        return inspect_image(*decode_with_colour(content))
    except BadImageError as error:
        return error


def _changed(
    root: Path, views: tuple[ViewSpec, ...], content: bytes, row: ImageRow
) -> tuple[Inspection, Changed] | BadImageError:
    try:
        grey, colour = decode_with_colour(content)
        inspection = inspect_image(grey, colour)
    except BadImageError as error:
        return error
    mask, lungs = (None, None) if row.mask is None else open_mask(row, root)
    made = prepare_image(grey, row.content_sha256, Wanted(views=views, stand_in=True), lungs)
    drawn = [made.of(view) for view in views] or [np.empty((0, 1, 1), np.uint8)]
    return inspection, Changed(views=np.concatenate(drawn), mask=mask)

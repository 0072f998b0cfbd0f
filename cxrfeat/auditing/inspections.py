"""The audit's pass over a data set: each file is read and decoded once, for the manifest and all checks together."""

from __future__ import annotations

from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import DECODE_STEPS, decode_with_colour
from cxrfeat.image.index import index_with
from cxrfeat.image.inspect import Inspection, inspect_image
from cxrfeat.image.row import Manifest, Selection
from cxrfeat.system.given import PathLike
from cxrfeat.types import Counted

Inspected = dict[str, Inspection | BadImageError]
"""What each image of a manifest tells, by path; the error where its pixels cannot be used."""

_LEAST_WORKERS = 2
"""Cores from which processes inspect files: with their start, two took 4.0 to 4.8 s for 1200 images of 299 pixels, and
two threads, which wait for the interpreter's lock between many short sums, 7.1 to 7.6 s. Little comes back."""
_STEPS = DECODE_STEPS + 10
"""How long that takes of an image, about as many times what one view takes."""


def inspect_folder(data: PathLike, selection: Selection, progress: Counted | None = None) -> tuple[Manifest, Inspected]:
    """Index a data folder, and inspect its images.

    Args:
        data: The folder.
        selection: Which images to take.
        progress: Called with (files done, files in all), from the calling thread.

    Returns:
        The manifest, as `index_folder` gives it, and the inspection of each of its images.

    Raises:
        InputError: As `index_folder`.
        SpecError: As `index_folder`.
    """
    return index_with(_inspected, data, selection, steps=_STEPS, least_workers=_LEAST_WORKERS, progress=progress)


def _inspected(content: bytes) -> Inspection | BadImageError:
    try:
        return inspect_image(*decode_with_colour(content))
    except BadImageError as error:
        return error

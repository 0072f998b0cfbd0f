"""What the network sees of the images that are explained, in parts, and how to see one of them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.explaining.images import Candidate, unusable
from cxrfeat.explaining.place import FRAME
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.mask import Lungs
from cxrfeat.image.row import Quarantined
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Counted, Grey, Views
from cxrfeat.view.draw import ViewParams, draw_views
from cxrfeat.view.prepare import ImageFile, Wanted
from cxrfeat.view.stream import Outcome, stream, usable

TOGETHER = 32
"""Images prepared ahead of the network."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """An image that could be read."""

    candidate: Candidate
    views: Views
    """`(count, size, size)`, the plain one first."""
    params: tuple[ViewParams, ...]
    """How each was made."""
    size: tuple[int, int]
    """Height and width of the image."""
    lungs: Lungs
    """`(64, 64)` over the image: its mask, or the template."""
    masked: bool
    """Whether that is a mask of its own."""


def readied(
    images: Sequence[Candidate], view: ViewSpec, progress: Counted | None = None
) -> Iterator[list[Ready | Quarantined]]:
    """The images in parts, each prepared while the network is busy with the one before."""
    files = [ImageFile(path=one.path, content_sha256=one.sha256, mask=one.mask) for one in images]
    done = 0
    with stream(files, Wanted(views=(view,), lungs=FRAME), ahead=TOGETHER) as prepared:
        while some := prepared.take(TOGETHER):
            together = zip(images[done : done + len(some)], some, strict=True)
            yield [_ready(candidate, one, view) for candidate, one in together]
            done += len(some)
            if progress:
                progress(done, len(images))


def _ready(candidate: Candidate, one: Outcome, view: ViewSpec) -> Ready | Quarantined:
    try:
        prepared = usable(one)
        views = prepared.of(view)
    except BadImageError as error:
        return Quarantined(path=candidate.name, stage=error.stage, reason=error.reason)
    assert prepared.lungs is not None  # they were wanted
    return Ready(
        candidate=candidate,
        views=views,
        params=draw_views(view, prepared.content_sha256),
        size=prepared.shape,
        lungs=prepared.lungs,
        masked=prepared.masked,
    )


def ready_image(image: Candidate, view: ViewSpec) -> Ready:
    """One image as the network sees it.

    Raises:
        InputError: If it cannot be used.
    """
    ((ready,),) = readied([image], view)
    if isinstance(ready, Quarantined):
        raise unusable(image.path, ready.stage, ready.reason)
    return ready


def pixels_of(path: Path) -> Grey:
    """An image once more, to be drawn.

    Raises:
        InputError: If it can no longer be read.
    """
    try:
        return decode(read_file(path))
    except BadImageError as error:
        raise InputError(f"{str(path)!r} changed during the run ({error.reason}). Run it again.") from error

"""What the network sees of images: read, decoded and viewed while it is busy with the ones before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.explaining.images import Candidate, unusable
from cxrfeat.explaining.place import FRAME
from cxrfeat.image.container import probe
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.mask import Lungs, fitted, read_mask, template
from cxrfeat.image.row import Quarantined
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.types import Counted, Grey, Views
from cxrfeat.view.draw import ViewParams, draw_views
from cxrfeat.view.prepare import views_of

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


def _ready(candidate: Candidate, view: ViewSpec) -> Ready | Quarantined:
    try:
        content = read_file(candidate.path)
        digest = sha256(content).hexdigest()
        if candidate.sha256 is not None and digest != candidate.sha256:
            raise BadImageError("open", "the file changed while the run went on")
        header = probe(content, PurePosixPath(candidate.path.name).suffix)
        prepared = views_of(content, digest, [view], candidate.mask)
        views = prepared.of(view)
    except BadImageError as error:
        return Quarantined(path=candidate.name, stage=error.stage, reason=error.reason)
    size = (header.height, header.width)
    lungs, masked = template(FRAME), False
    if candidate.mask is not None:
        try:
            lungs, masked = fitted(read_mask(candidate.mask, size), FRAME), True
        except BadImageError:  # named in the notes; heat is judged by the template then
            masked = False
    return Ready(
        candidate=candidate,
        views=views,
        params=draw_views(view, digest),
        size=size,
        lungs=lungs,
        masked=masked,
    )


def readied(
    images: Sequence[Candidate], view: ViewSpec, progress: Counted | None = None
) -> Iterator[list[Ready | Quarantined]]:
    """The images in parts, each decoded in threads while the network is busy with the one before."""
    if not images:
        return
    parts = [images[start : start + TOGETHER] for start in range(0, len(images), TOGETHER)]
    done = 0
    with ThreadPoolExecutor(max_workers=threads(), thread_name_prefix="decode") as pool:
        waiting = [pool.submit(_ready, one, view) for one in parts[0]]
        for following in (*parts[1:], ()):
            futures, waiting = waiting, [pool.submit(_ready, one, view) for one in following]
            yield [future.result() for future in futures]
            done += len(futures)
            if progress:
                progress(done, len(images))


def ready_image(image: Candidate, view: ViewSpec) -> Ready:
    """One image as the network sees it.

    Raises:
        InputError: If it cannot be used.
    """
    (ready,) = next(readied([image], view))
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
        raise InputError(f"{path} changed while the run went on ({error.reason}). Run it again.") from error

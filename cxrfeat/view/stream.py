"""The one stream of prepared images: files ahead in workers, each read and decoded once, handed over in order.

Whoever looks at many images takes them from here. What is made of each is described by a value (`Wanted`), and what
comes back is a value too (`Prepared`), so that whoever makes it may be a thread or another process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized
from functools import partial

from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import DECODE_STEPS
from cxrfeat.spec import ViewSpec
from cxrfeat.system.ahead import AHEAD, Ahead
from cxrfeat.system.compiled import want_compiled
from cxrfeat.system.crew import crew_pays
from cxrfeat.system.process import threads
from cxrfeat.types import Views
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted, prepare

Outcome = Prepared | BadImageError
"""What became of a file: a bad one costs itself alone."""


def stream(
    files: Iterable[ImageFile],
    wanted: Wanted,
    *,
    ahead: int = AHEAD,
    workers: int | None = None,
    images: int | None = None,
    processes: bool | None = None,
) -> Ahead[ImageFile, Outcome]:
    """Prepare files ahead of whoever takes them.

    Args:
        files: Where they are; asked for one at a time, no sooner than needed.
        wanted: What is made of each.
        ahead: Images in memory that are not yet taken, at most: as many as are taken at once, so that the next are
            ready when these are done with.
        workers: Files that are read at the same time; one for each core unless given.
        images: How many files there are, where `files` cannot tell.
        processes: Whether each worker is a process of its own, not a thread; where it pays unless given.

    Returns:
        To be iterated over, or taken from, in a `with` block: an outcome for each file, in their order; the same for
        any number of workers.
    """
    count = workers or threads()
    known = len(files) if isinstance(files, Sized) else images or 0
    if processes is None:
        processes = processes_pay(known, wanted, count)
    steps = known * (drawn_each(wanted) + wanted.look)
    work = partial(_outcome, wanted, steps // count if processes else steps)
    return Ahead(work, files, ahead=ahead, workers=count, processes=processes)


def processes_pay(images: int, wanted: Wanted, workers: int) -> bool:
    """Whether this many images are prepared sooner by processes than by threads, their start included."""
    return crew_pays(images * _steps(wanted), workers)


def _steps(wanted: Wanted) -> int:
    """What is done to each image, about as many times what one view takes."""
    return DECODE_STEPS + drawn_each(wanted) + wanted.look


def drawn_each(wanted: Wanted) -> int:
    """Views that are drawn of each image, here."""
    return sum(spec.count for spec in wanted.views if spec not in wanted.undrawn) + len(wanted.drawn)


def _outcome(wanted: Wanted, steps: int, file: ImageFile) -> Outcome:
    want_compiled(steps)  # here, since this may be another process
    try:
        return prepare(file, wanted)
    except BadImageError as error:
        return error


def usable(one: Outcome) -> Prepared:
    """What was made of a file.

    Raises:
        BadImageError: If it cannot be used.
    """
    if isinstance(one, BadImageError):
        raise one
    return one


def views_of(one: Outcome, spec: ViewSpec) -> Views | BadImageError:
    """What became of a file for one description of views: some may have none of it alone."""
    if isinstance(one, BadImageError):
        return one
    return one.failures.get(spec) or one.views[spec]

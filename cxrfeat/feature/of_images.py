"""Features of image files that nobody indexed, in the order given: those that are held already, the others computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cxrfeat.backbone.engine import Engine
from cxrfeat.errors import BadImageError
from cxrfeat.feature.flow import Flow, Rows
from cxrfeat.feature.held import Held, HeldRows
from cxrfeat.image.row import Quarantined
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Features
from cxrfeat.view.prepare import ImageFile, Wanted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfImage:
    """One image's features, there or on their way."""

    path: Path
    content_sha256: str
    held: Features | None
    """`(views, dim)`, of an image whose features were in a file."""
    computed: Rows | None
    """In place of these: of any other."""

    @property
    def there(self) -> bool:
        """Whether nothing of them is on its way."""
        return self.computed is None or self.computed.whole

    @property
    def features(self) -> Features:
        """`(views, dim)`, once they are there."""
        if self.held is not None:
            return self.held
        assert self.computed is not None
        return self.computed.features


def features_of_images(
    paths: Sequence[Path], view: ViewSpec, load: Callable[[], Engine], held: HeldRows, *, together: int
) -> Generator[list[OfImage | Quarantined], None, None]:
    """Features of images, some files at a time.

    The next images are read and the next batches computed while those that are there are looked at, whichever files
    these are of.

    Args:
        paths: Paths of the images.
        view: Which views of each; of those held, this many of the first.
        load: Loads the network; not called where none of the images needs it.
        held: What need not be computed, opened.
        together: Files that are given at a time.

    Yields:
        Of each file, in their order, its features or why it cannot be used.
    """
    waiting: deque[list[OfImage | Quarantined]] = deque()
    with ExitStack() as stack:
        images = stack.enter_context(held.stream([ImageFile(path=path) for path in paths], Wanted(views=(view,))))
        engine, flow = None, None
        for start in range(0, len(paths), together):
            group: list[OfImage | Quarantined] = []
            for path, one in zip(paths[start : start + together], images.take(together), strict=True):
                if isinstance(one, BadImageError):
                    group.append(Quarantined(path=str(path), stage=one.stage, reason=one.reason))
                    continue
                rows = None
                if not isinstance(one, Held):
                    if engine is None or flow is None:
                        engine = load()
                        flow = stack.enter_context(Flow(engine, lambda _: None))
                    rows = Rows(view.count, engine.dim)
                    flow.add(rows, one.of(view))
                kept = one.features[: view.count] if isinstance(one, Held) else None
                group.append(OfImage(path=path, content_sha256=one.content_sha256, held=kept, computed=rows))
            waiting.append(group)
            while waiting and _there(waiting[0]):
                yield waiting.popleft()
        if flow is not None:
            flow.finish()
        yield from waiting


def _there(group: Sequence[OfImage | Quarantined]) -> bool:
    return all(isinstance(one, Quarantined) or one.there for one in group)

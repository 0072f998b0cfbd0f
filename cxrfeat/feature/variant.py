"""Features of images changed in several ways, for questions rather than for keeping: nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np

from cxrfeat.backbone.engine import Engine
from cxrfeat.errors import InputError
from cxrfeat.feature.flow import Flow, Rows
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Features, Views


class Variants:
    """Has the features of changed images computed as the images come; to be used in a `with` block.

    Of the views only those that no batch was filled with are in memory, and those of the batches on their way.
    """

    def __init__(self, views: Sequence[ViewSpec], most: int, load: Callable[[], Engine]) -> None:
        """Note what is wanted; nothing is loaded yet.

        Args:
            views: How each image is changed, one view each.
            most: Images that may come.
            load: Gives the network, when the first of them comes.
        """
        self.views = tuple(views)
        self._most, self._load = most, load
        self._count = 0
        self._dropped: set[ViewSpec] = set()
        self._rows: dict[ViewSpec, Rows] = {}
        self._flow: Flow | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """No image yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self._stack.__exit__(kind, error, trace)

    def add(self, drawn: Views) -> int:
        """Take the next image.

        Args:
            drawn: `(len(views), size, size)`, one of each of them in their order; they must not change.

        Returns:
            Its number, from 0, by which its features are asked for.
        """
        if self._flow is None:
            engine = self._load()
            self._rows = {view: Rows(self._most, engine.dim) for view in self.views}
            self._flow = self._stack.enter_context(Flow(engine, lambda _: None))
        for view, one in zip(self.views, drawn, strict=True):
            if view not in self._dropped:
                self._flow.add(self._rows[view], one[np.newaxis])
        self._count += 1
        return self._count - 1

    def drop(self, views: Iterable[ViewSpec]) -> None:
        """Compute no more features of these, which nobody will ask for."""
        self._dropped |= set(views)

    def features(self, view: ViewSpec, images: Sequence[int]) -> Features:
        """`(len(images), dim)` float32: those of some images, by number, under one description; no more can come.

        Raises:
            InputError: If the network gave NaN or infinity.
        """
        assert self._flow is not None, "no image came"
        assert view not in self._dropped
        self._flow.finish()
        found: Features = self._rows[view].features[np.asarray(images, dtype=np.intp)]
        if not np.isfinite(found).all():
            raise InputError("The network gives NaN or infinity for some images. Check its weights and `preprocess`.")
        return found

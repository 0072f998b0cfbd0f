"""Views drawn where the network is, by JAX: whole numbers only, so that no device rounds otherwise than the host.

The only place that knows how `Undrawn` images become one batch. JAX compiles for shapes, so the images of a batch are
made equally large by zeros that no table reads, and few different sizes occur.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.engine import padded
from cxrfeat.types import TAP_BITS, Taps, Undrawn


class Drawing:
    """Draws batches of views; the same bits for any batch, on any device."""

    def __init__(self) -> None:
        """Name the program; it is compiled for each new shape when it is first met."""
        import jax

        self._draw = jax.jit(_draw)
        self.sent = 0
        """Bytes that have crossed."""

    def __call__(self, parts: Sequence[Undrawn], rows: int) -> Any:  # noqa: ANN401  # JAX has no types
        """The views of some images, one after the other.

        Args:
            parts: At least one; all of them have views of the same size.
            rows: Rows of the batch; no fewer than the views, and what lies behind them means nothing.

        Returns:
            `(rows, size, size, 1)` uint8, on the device.
        """
        square = all(one.rows is None for one in parts)
        columns = _joined([one.columns for one in parts], rows)
        lines = None if square else _joined([one.columns if one.rows is None else one.rows for one in parts], rows)
        whose = np.repeat(np.arange(len(parts), dtype=np.int32), [len(one) for one in parts])
        given = (
            _stacked([one.image for one in parts]),
            padded(whose, rows),
            columns,
            lines,
            padded(np.concatenate([one.flips for one in parts]), rows),
            padded(np.concatenate([one.gains for one in parts]), rows),
        )
        self.sent += sum(each.nbytes for each in (given[0], given[1], *columns, *(lines or ()), given[4], given[5]))
        return self._draw(*given)


def enough(count: int) -> int:
    """The next of few numbers, four for each doubling, that is at least `count`.

    Example:
        >>> [enough(count) for count in (1, 5, 9, 33, 224, 299)]
        [1, 5, 10, 40, 224, 320]
    """
    step = max(1, 1 << count.bit_length() >> 3)
    return -(-count // step) * step


def _stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    height, width = (enough(max(one.shape[side] for one in images)) for side in (0, 1))
    stack = np.zeros((enough(len(images)), height, width), dtype=np.uint8)
    for place, one in zip(stack, images, strict=False):  # the last places stay empty
        place[: one.shape[0], : one.shape[1]] = one
    return stack


def _joined(tables: Sequence[Taps], rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    taps = enough(max(one.weights.shape[-1] for one in tables))
    weights = np.zeros((rows, tables[0].weights.shape[1], taps), dtype=np.int32)
    start = 0
    for one in tables:
        weights[start : start + len(one.weights), :, : one.weights.shape[-1]] = one.weights
        start += len(one.weights)
    return padded(np.concatenate([one.first for one in tables]), rows), weights


def _draw(images: Any, whose: Any, columns: Any, rows: Any, flips: Any, gains: Any) -> Any:  # noqa: ANN401  # JAX has no types
    """The program: `(images, h, w)` uint8 and tables of n views to `(n, size, size, 1)` uint8."""
    import jax.numpy as jnp

    rows = columns if rows is None else rows
    first, weights = (jnp.where(flips.reshape(-1, *[1] * (one.ndim - 1)), one[:, ::-1], one) for one in columns)
    lines = jnp.arange(images.shape[1])[None, :, None]
    last = images.shape[2] - 1
    narrow = _rounded(
        images[whose[:, None, None], lines, jnp.minimum(first[:, None] + tap, last)] * weights[:, None, :, tap]
        for tap in range(weights.shape[-1])
    )
    first, weights = rows
    view, places = jnp.arange(len(whose))[:, None, None], jnp.arange(first.shape[1])[None, None, :]
    last = images.shape[1] - 1
    small = _rounded(
        narrow[view, jnp.minimum(first + tap, last)[:, :, None], places] * weights[:, :, None, tap]
        for tap in range(weights.shape[-1])
    )
    return gains[view, small.astype(jnp.int32)][..., None]


def _rounded(products: Any) -> Any:  # noqa: ANN401  # JAX has no types
    """The sum of weighted pixels as pixels; it never leaves 0 to 255, since the weights are positive."""
    import jax.numpy as jnp

    return ((sum(products) + (1 << (TAP_BITS - 1))) >> TAP_BITS).astype(jnp.uint8)

"""From the words that a DICOM file stores to grey values: one table, through which every pixel goes.

The order is the standard's: stored value, modality LUT or rescale, VOI LUT or window, what white means (PS3.3, C.7.6.3,
C.11.1, C.11.2, C.11.6, and C.8.11.3 for DX; PS3.4, N.2). The first VOI LUT is taken, else the first window that is
one, else the whole range; `how_shown` says which, for the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.stored import Layout, Words
from cxrfeat.system.compiled import Compiled
from cxrfeat.types import Grey

KERNEL = Compiled("cxrfeat.image.dicom.kernel")
_PIXELS_A_STEP = 80_000
"""NumPy needs a quarter of a millisecond more for so many."""

_WHOLE = 0.05
"""How far a grey value may be from a whole one to be taken for it: one grey level is 16 steps of 12 bits, and so 0.03
from the nearest of them at most."""
_SAMPLE = 4096
"""Pixels that are looked at before all of them are."""

LINEAR, LINEAR_EXACT, SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"
_TELLING_BITS = 3
"""Where no VOI LUT or window says what is white: this many bits that are not used in a file were never meant to be."""

_Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table; PS3.3, C.11.1.1."""

    content: bytes
    kind: str
    """NumPy's name of the type of its entries."""
    first: int
    """The value that the first entry is for; smaller ones have it too, and those beyond the last have the last."""
    bits: int
    """Of an entry."""

    def entries(self) -> NDArray[np.int64]:
        """What it maps to."""
        return np.frombuffer(self.content, self.kind).astype(np.int64)

    def top(self) -> float:
        """The largest value that its entries can have; of more bits than it says where it has such entries."""
        return float(2 ** max(self.bits, int(self.entries().max()).bit_length()) - 1)

    def of(self, values: _Values) -> _Values:
        """What values become."""
        entries = self.entries()
        places = (np.rint(values) - self.first).clip(0, len(entries) - 1).astype(np.int64)
        return entries[places].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Window:
    """A window; PS3.3, C.11.2.1.2 and C.11.2.1.3."""

    centre: float
    width: float
    function: str

    @property
    def is_one(self) -> bool:
        """Whether it shows anything: a width of at least 1, or above 0 where the function is not LINEAR."""
        return self.width > 0 if self.function in (LINEAR_EXACT, SIGMOID) else self.width >= 1

    def of(self, values: _Values) -> _Values:
        """0 to 1 for each value."""
        x, c, w = values, self.centre, self.width
        if self.function == SIGMOID:
            sigmoid: _Values = 1 / (1 + np.exp((-4 * (x - c) / w).clip(-700, 700)))
            return sigmoid
        if self.function == LINEAR_EXACT:
            return ((x - c) / w + 0.5).clip(0, 1)
        if w == 1:  # a step, at c - 0.5 the lower side
            return (x > c - 0.5).astype(np.float64)
        return ((x - (c - 0.5)) / (w - 1) + 0.5).clip(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a file says of how its values are to be shown."""

    photometric: str = "MONOCHROME2"
    shape: str = ""
    """Presentation LUT Shape: `IDENTITY`, `INVERSE`, or empty."""
    modality: Lut | None = None
    slope: float = 1.0
    intercept: float = 0.0
    luts: tuple[Lut, ...] = ()
    windows: tuple[Window, ...] = ()
    padding: tuple[int, int] | None = None
    """The least and the greatest stored value that are no part of the picture."""

    @property
    def inverted(self) -> bool:
        """Whether low values are white.

        MONOCHROME1 says so (C.7.6.3.1.2), and INVERSE too (C.11.6; of DX, each demands the other: C.8.11.3.1.2).
        """
        return self.photometric == "MONOCHROME1" or self.shape == "INVERSE"


def how_shown(shown: Shown) -> str:
    """Which VOI LUT or window is taken, such as `window 1 of 2` or `window (SIGMOID)`; no value of the file.

    Example:
        >>> how_shown(Shown(windows=(Window(0, 0, LINEAR), Window(2048, 4096, LINEAR)))), how_shown(Shown())
        ('window 2 of 2', 'whole range')
    """
    if shown.luts:
        return "VOI LUT" if len(shown.luts) == 1 else f"VOI LUT 1 of {len(shown.luts)}"
    place = next((place for place, window in enumerate(shown.windows, 1) if window.is_one), None)
    if place is None:
        return "whole range"
    function = shown.windows[place - 1].function
    named = f" ({function})" if function in (LINEAR_EXACT, SIGMOID) else ""
    return f"window{named}" if len(shown.windows) == 1 else f"window {place} of {len(shown.windows)}{named}"


def grey_of(words: Words, layout: Layout, shown: Shown) -> Grey:
    """Grey values of stored words.

    An image of 8 bits that was stored in 12 or 16 comes out as the 8 bits that it was: its views, and what copies of it
    are found by, are then the same in whatever file it lies.

    Padding is black, and what is white without it is found without it. Without a VOI LUT or a window the values go from
    black to white over all that their bits can hold; where three bits or more are used by none, over what is left.

    Args:
        words: `(h, w)`, from `stored_words`.
        layout: Of them.
        shown: What the file says.

    Returns:
        `(h, w)` uint8, or float32 in [0, 255] where the image has more than 8 bits.

    Raises:
        BadImageError: Stage `decode`, if a slope of 0 makes all values one.
    """
    if shown.slope == 0 and shown.modality is None:
        raise BadImageError("decode", "its rescale slope is 0, which leaves one grey value")
    span = (0, 0) if shown.luts or any(window.is_one for window in shown.windows) else _span(words, layout, shown)
    table = _table(8 * words.itemsize, layout.shift, layout.stored, shown, span, signed=layout.signed)
    if table.near is None:
        return _looked_up(words, table.grey)
    some = words.reshape(-1)[:: max(1, words.size // _SAMPLE)]
    whole = table.near[some].all() and _looked_up(words, table.near).min()
    return _looked_up(words, table.rounded if whole else table.grey)


def _looked_up(words: Words, table: NDArray[np.uint8] | NDArray[np.float32]) -> Grey:
    if table.dtype == np.uint8:
        for white, lowest_bits in enumerate(_lowest_bits(len(table))):
            if np.array_equal(table, lowest_bits):  # so are most files of 8 bits: copied
                return (~words if white else words).astype(np.uint8)
    kernel = KERNEL.functions(words.size / _PIXELS_A_STEP)
    if kernel is None:
        return table[words]
    grey: Any = np.empty(words.shape, table.dtype)
    flat, room = words.reshape(-1), grey.reshape(-1)
    if words.dtype == table.dtype:
        done = words.size - words.size % 2
        twos = flat[:done].view(np.uint16)
        if twos.flags.aligned:
            kernel.look_up_uint16_uint16(twos, _of_two(table.tobytes()), room[:done].view(np.uint16))
            flat, room = flat[done:], room[done:]
    getattr(kernel, f"look_up_{words.dtype.name}_{table.dtype.name}")(flat, table, room)
    made: Grey = grey
    return made


@lru_cache(maxsize=16)
def _of_two(table: bytes) -> NDArray[np.uint16]:
    """Two pixels of 8 bits at a time: the table for both, in whatever order the machine has them."""
    one = np.frombuffer(table, np.uint8).astype(np.uint16)
    both: NDArray[np.uint16] = one[:, None] << np.uint16(8) | one
    return both.reshape(-1)


@lru_cache(maxsize=2)
def _lowest_bits(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The table by which words are their lowest eight bits, and the one by which they are the opposite of these."""
    lowest = np.arange(count).astype(np.uint8)
    return lowest, ~lowest


def _span(words: Words, layout: Layout, shown: Shown) -> tuple[int, int]:
    """The stored values that are black and white where nothing says it."""
    low, high = _extremes(words, layout, shown)
    signed = layout.signed
    depth = layout.stored - 1 if signed else layout.stored
    if low < 0:
        return -(2**depth), 2**depth - 1
    used = max(8, high.bit_length())
    return 0, 2 ** (used if used <= depth - _TELLING_BITS else depth) - 1


def _extremes(words: Words, layout: Layout, shown: Shown) -> tuple[int, int]:
    """The least and the greatest stored value, padding left out; of the greatest, only the number of bits is sure."""
    bits = 8 * words.itemsize
    if not layout.signed and shown.padding is None:
        used = int(np.bitwise_or.reduce(words, axis=None))
        return 0, used >> layout.shift & (2**layout.stored - 1)
    values = _values(bits, layout.shift, layout.stored, signed=layout.signed)[_occurring(words)]
    if shown.padding is not None:
        left = values[(values < shown.padding[0]) | (values > shown.padding[1])]
        values = left if left.size else values
    return int(values.min()), int(values.max())


def _occurring(words: Words) -> NDArray[np.bool_]:
    """Of every word, whether it occurs."""
    there = np.zeros(2 ** (8 * words.itemsize), bool)
    kernel = KERNEL.functions(words.size / _PIXELS_A_STEP)
    if kernel is None or words.dtype == np.uint8:
        there[words] = True
    else:
        kernel.mark_uint16(words.reshape(-1), there)
    return there


def _values(bits: int, shift: int, stored: int, *, signed: bool) -> NDArray[np.int64]:
    """The stored value of every word: what lies above and below it cleared, its sign extended; PS3.5, section 8.1.1."""
    values: NDArray[np.int64] = (np.arange(2**bits) >> shift) & (2**stored - 1)
    if signed:
        values[values >= 2 ** (stored - 1)] -= 2**stored
    return values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table:
    """What every word becomes."""

    grey: NDArray[np.uint8] | NDArray[np.float32]
    rounded: NDArray[np.uint8]
    """Likewise, of an image that has no more than 8 bits."""
    near: NDArray[np.uint8] | None
    """1 where the two are those of an image of 8 bits, moved by as little as 12 bits move them; `None` where all are
    the same."""


@lru_cache(maxsize=16)  # the images of one machine often share theirs
def _table(bits: int, shift: int, stored: int, shown: Shown, span: tuple[int, int], *, signed: bool) -> _Table:
    values = _values(bits, shift, stored, signed=signed)
    exact = 255 * _unit(values.astype(np.float64), shown, span)
    if shown.inverted:
        exact = 255 - exact
    if shown.padding is not None:
        exact[(values >= shown.padding[0]) & (values <= shown.padding[1])] = 0
    if stored <= 8:
        rounded = np.rint(exact).astype(np.uint8)
        return _Table(grey=rounded, rounded=rounded, near=None)
    grey = exact.astype(np.float32)
    near = (np.abs(grey - grey.round()) <= _WHOLE).astype(np.uint8)
    return _Table(grey=grey, rounded=grey.round().astype(np.uint8), near=near)


def _unit(values: _Values, shown: Shown, span: tuple[int, int]) -> _Values:
    """0 to 1 for each stored value."""
    if shown.modality is not None:
        values, ends = shown.modality.of(values), np.array([0.0, shown.modality.top()])
    else:
        ends = np.array(span, np.float64) * shown.slope + shown.intercept
        values = values * shown.slope + shown.intercept
    if shown.luts:
        return shown.luts[0].of(values) / shown.luts[0].top()
    window = next((window for window in shown.windows if window.is_one), None)
    if window is not None:
        return window.of(values)
    unit: _Values = (values - ends.min()) / (ends.max() - ends.min())
    return unit.clip(0, 1)

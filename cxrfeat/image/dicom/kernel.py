"""Every pixel through a table, by compiled loops; see `image.dicom.grey`, which calls them, and `system.compiled`.

The memory is what limits them, so they go around its caches: what is written there is first read, for nothing. And of
16 pixels the words are read together, and the grey values written together, since a processor has few reads and writes
under way at a time. For a large image, one thread takes half as long as a plain loop, and two threads two thirds.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import compiled

_numba: Any = importlib.import_module("numba")
_ir: Any = importlib.import_module("llvmlite.ir")  # comes with Numba, of the very version that it wants
_TOGETHER = 16


def _together(_typing: Any, words: Any, table: Any, grey: Any, place: Any) -> Any:  # noqa: ANN401  # Numba has no types
    """Fill 16 grey values from a place on, whose address must be a multiple of their length."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:  # noqa: ANN401  # likewise
        word, entry, value = (
            context.make_array(kind)(context, builder, each).data
            for kind, each in zip(signature.args[:3], given, strict=False)
        )
        wide, at = _ir.IntType(64), given[3]
        bits = signature.args[0].dtype.bitwidth
        count = 64 // bits
        row = _ir.VectorType(entry.type.pointee, _TOGETHER)
        values = _ir.Constant(row, _ir.Undefined)
        for start in range(0, _TOGETHER, count):
            first = builder.gep(word, [builder.add(at, _ir.Constant(at.type, start))])
            several = builder.load(builder.bitcast(first, wide.as_pointer()), align=bits // 8)
            for number in range(count):
                shift = bits * (number if sys.byteorder == "little" else count - 1 - number)
                one = builder.and_(builder.lshr(several, _ir.Constant(wide, shift)), _ir.Constant(wide, 2**bits - 1))
                found = builder.load(builder.gep(entry, [one]))
                values = builder.insert_element(values, found, _ir.Constant(_ir.IntType(32), start + number))
        room = builder.bitcast(builder.gep(value, [at]), row.as_pointer())
        written = builder.store(values, room, align=_TOGETHER * signature.args[2].dtype.bitwidth // 8)
        written.set_metadata("nontemporal", builder.module.add_metadata([_ir.Constant(_ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return _numba.types.void(words, table, grey, place), build


look_up_together: Any = _numba.extending.intrinsic(_together)


def _look_up(words: NDArray[Any], table: NDArray[Any], grey: NDArray[Any]) -> None:
    """Fill `(n,)` with what the table has for each word."""
    count = len(words)
    start = min(count, (-(grey.ctypes.data // grey.itemsize)) % _TOGETHER)
    stop = start + (count - start) // _TOGETHER * _TOGETHER
    for place in range(start, stop, _TOGETHER):
        look_up_together(words, table, grey, place)
    for place in range(start):
        grey[place] = table[words[place]]
    for place in range(stop, count):
        grey[place] = table[words[place]]


look_up_uint8_uint8 = compiled("void(uint8[::1], uint8[::1], uint8[::1])", fills=1)(_look_up)
look_up_uint8_float32 = compiled("void(uint8[::1], float32[::1], float32[::1])", fills=1)(_look_up)
look_up_uint16_uint8 = compiled("void(uint16[::1], uint8[::1], uint8[::1])", fills=1)(_look_up)
look_up_uint16_uint16 = compiled("void(uint16[::1], uint16[::1], uint16[::1])", fills=1)(_look_up)
look_up_uint16_float32 = compiled("void(uint16[::1], float32[::1], float32[::1])", fills=1)(_look_up)


@compiled("void(uint16[::1], boolean[::1])", fills=1)
def mark_uint16(words: NDArray[np.uint16], there: NDArray[np.bool_]) -> None:
    """Say of each word that it occurs."""
    for place in range(len(words)):
        there[words[place]] = True

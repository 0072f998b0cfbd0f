"""The only place that turns arrays into bytes and back: an uncompressed `.npz` of plain numbers and nothing else.

Nothing is unpickled, nothing takes more memory than the bytes do, and NumPy's parser sees no header but its own.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as the content of an `.npz` file; float32, float64 or int64, stored by rows."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays that `write_arrays` wrote; together they take no more memory than `content`.

    Raises:
        ValueError: Saying what it holds instead.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("its arrays are compressed")
            if sum(entry.file_size for entry in entries) > len(content):
                raise ValueError("its arrays are larger than the file")
            return {
                entry.filename.removesuffix(".npy"): _read_npy(entry.filename, archive.read(entry)) for entry in entries
            }
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is not a readable .npz ({error})") from error


_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00.."  # version 1.0, then the header's length
    rb"\{'descr': '<(f4|f8|i8)', 'fortran_order': False, 'shape': \(((?:[0-9]{1,12},? ?)*)\), \} *\n",
    re.DOTALL,
)
"""The header as NumPy writes it for such arrays. Anything else (objects, that is pickle, above all) is refused
before NumPy's own parser sees it."""


def _read_npy(name: str, content: bytes) -> NDArray[Any]:
    header = _HEADER.match(content)
    if header is None:
        raise ValueError(f"{name} is not a plain array of float32, float64 or int64")
    shape = [int(size) for size in header[2].replace(b",", b" ").split()]
    if header.end() + math.prod(shape) * int(header[1][1:]) != len(content):
        raise ValueError(f"{name} says its shape is {tuple(shape)}, which is not as long as its data")
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array

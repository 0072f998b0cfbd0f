"""In which forms masks are kept: a file, a file for each lung, planes of an array, runs in a row of a table.

The only place that reads them. What their pixels mean, `mask` says.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.content import read_file
from cxrfeat.image.mask_place import Columns, Form, MaskPlace
from cxrfeat.image.size import MAX_PIXELS

PREPROCESSED = 1024
"""Height and width where a table of masks says neither.

Source: CheXmask, `how_we_saved_annotations.py` (`imagesize = 1024`).
"""

_LUNG_PLANES = {159: (135, 136), 14: (4, 5)}
"""Which planes are the lungs, by how many there are.

Source: cxas 0.0.20, `data/paxray_labels.json` (159 structures; the same order in torchxrayvision's `chestx_anatomy`);
torchxrayvision, `baseline_models/chestx_det` (14 targets).
"""
_AT_ONCE = 1 << 24  # bytes that are passed over in one step


def read_kept(place: MaskPlace) -> list[bytes]:
    """What a mask is kept as, and nothing that is kept with it: its digest does not hang on the hearts of a table.

    Args:
        place: Absolute.

    Returns:
        Of files their contents, the left lung's first; of planes and rows what `unpacked` takes.

    Raises:
        BadImageError: If it cannot be read.
    """
    if place.form == "row":
        return [zlib.decompress(place.packed) if place.packed else _row(place)]
    if place.form == "planes":
        return [_planes(Path(place.paths[0]))]
    return [read_file(Path(path)) for path in place.paths]


def digest_of(contents: list[bytes]) -> str:
    """SHA-256 of what a mask is kept as, 64 hexadecimal digits; of one file that of its bytes."""
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    return digests[0] if len(digests) == 1 else hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def unpacked(form: Form, content: bytes) -> NDArray[np.bool_]:
    """The lungs that planes or a row hold.

    Args:
        form: `planes` or `row`.
        content: From `read_kept`.

    Returns:
        `(h, w)`, true in the lungs.

    Raises:
        BadImageError: If they are no lungs of a size that can be, or a lung has not one pixel.
    """
    size, _, rest = content.partition(b"\n")
    height, width = map(int, size.split())
    if form == "planes":
        lungs = np.unpackbits(np.frombuffer(rest, np.uint8), count=height * width).reshape(height, width)
        return lungs.astype(np.bool_)
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise BadImageError("decode", f"its table says {width} x {height} pixels")
    marks = np.zeros(height * width, np.bool_)
    for side, runs in zip(("left", "right"), rest.split(b"\n"), strict=True):
        marks |= _run_pixels(runs, side, height * width)
    return marks.reshape(height, width)


def packed_row(cells: list[str], columns: Columns) -> bytes:
    """The runs of both lungs in a row of a table, as `unpacked` takes them.

    Raises:
        BadImageError: If it has fewer cells than the table's header, or a height or width that is no number.
    """
    height = width = str(PREPROCESSED)
    try:
        if columns.height is not None and columns.width is not None:
            height, width = (str(int(float(cells[one]))) for one in (columns.height, columns.width))
        runs = [" ".join(cells[one].split()) for one in (columns.left, columns.right)]
    except (IndexError, ValueError, OverflowError):
        raise BadImageError("decode", "its row of the table lacks a number or a cell") from None
    return "\n".join((f"{height} {width}", *runs)).encode("ascii", "replace")


def cells_of(row: bytes, columns: Columns) -> list[str]:
    """The cells of one row of a table; none where it is no row at all."""
    if len(row) > csv.field_size_limit():  # of ragged lungs in a large image, the runs are longer than that
        csv.field_size_limit(len(row))
    try:
        text = row.decode("utf-8", "surrogateescape").rstrip("\r\n")
        return next(csv.reader([text], delimiter=columns.delimiter), [])
    except csv.Error:
        return []


def _row(place: MaskPlace) -> bytes:
    assert place.columns is not None  # of every row
    try:
        with Path(place.paths[0]).open("rb") as table:
            table.seek(place.start)
            row = table.read(place.length)
    except OSError as error:
        raise BadImageError("open", f"its table cannot be read ({error.strerror})") from None
    return packed_row(cells_of(row, place.columns), place.columns)


def _run_pixels(runs: bytes, side: str, pixels: int) -> NDArray[np.bool_]:
    """Which pixels some runs cover: pairs of a first pixel, counted from 1 along the rows, and a length.

    Source: CheXmask, `DataPostprocessing/utils.py` (`get_mask_from_RLE`). Kaggle's sets count down the columns.
    """
    words = runs.split()
    if not words:
        raise BadImageError("decode", f"the {side} lung has no runs")
    try:
        numbers = np.array(list(map(int, words)), np.int64)
    except (ValueError, OverflowError):
        raise BadImageError("decode", f"the runs of the {side} lung are not whole numbers") from None
    if len(numbers) % 2:
        raise BadImageError("decode", f"the runs of the {side} lung are not pairs of start and length")
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    if starts.min() < 0 or lengths.min() < 0 or starts.max() > pixels or (lengths > pixels - starts).any():
        raise BadImageError("decode", f"the runs of the {side} lung leave the {pixels} pixels that its table names")
    order = np.argsort(starts, kind="stable")
    first, last = starts[order], np.maximum.accumulate((starts + lengths)[order])
    begins = np.append(True, first[1:] > last[:-1])  # runs may touch or overlap
    edges = np.column_stack([first[begins], last[np.append(begins[1:], True)]]).ravel()
    gaps = np.diff(np.concatenate([[0], edges, [pixels]]))
    covered: NDArray[np.bool_] = np.repeat(np.arange(len(gaps)) % 2 == 1, gaps)
    return covered


def _planes(path: Path) -> bytes:
    """The lungs of an array of planes, and no other plane of it in memory."""
    with _array(path) as (shape, dtype, file):
        planes, (height, width) = shape[-3], shape[-2:]
        size = height * width * dtype.itemsize
        lungs, at = np.zeros((height, width), np.bool_), 0
        for place in _LUNG_PLANES[planes]:
            _pass_over(file, (place - at) * size)
            content = file.read(size)
            if len(content) < size:
                raise BadImageError("decode", "the array is cut short")
            at = place + 1
            marked = _of_plane(np.frombuffer(content, dtype).reshape(height, width))
            if not marked.any():
                raise BadImageError("decode", "one of its lungs has no pixel")
            lungs |= marked
    return f"{height} {width}\n".encode() + np.packbits(lungs).tobytes()


@contextmanager
def _array(path: Path) -> Iterator[tuple[tuple[int, ...], np.dtype[Any], IO[bytes]]]:
    """Shape and type of an array of planes, and its file where the planes begin."""
    import zipfile

    try:
        with path.open("rb") as plain:
            if path.suffix.lower() == ".npz":
                with zipfile.ZipFile(plain) as archive, archive.open(archive.namelist()[0]) as member:
                    yield *_header(member), member
            else:
                yield *_header(plain), plain
    except OSError as error:
        raise BadImageError("open", f"the array cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, IndexError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error):
        raise BadImageError("decode", "no array of NumPy, or a damaged one") from None


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(file)
    plain = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
    if len(plain) != 3 or plain[0] not in _LUNG_PLANES or columns_first or dtype.kind not in "biuf":
        raise BadImageError(
            "decode",
            f"an array of {' x '.join(map(str, shape)) or 'one number'}, and neither the 159 planes of cxas nor the 14 "
            "of torchxrayvision",
        )
    if min(plain) < 1 or plain[1] * plain[2] > MAX_PIXELS:
        raise BadImageError("decode", f"planes of {plain[2]} x {plain[1]} pixels")
    return plain, dtype


def _pass_over(file: IO[bytes], count: int) -> None:
    while count > 0:
        step = len(file.read(min(count, _AT_ONCE)))
        if not step:
            raise BadImageError("decode", "the array is cut short")
        count -= step


def _of_plane(plane: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a plane says lung: what is not 0, or is likelier than not, by probabilities or by logits."""
    if plane.dtype.kind != "f":
        whole: NDArray[np.bool_] = plane != 0
        return whole
    if not np.isfinite(plane).all():
        raise BadImageError("decode", "the array holds numbers that are not finite")
    if plane.min() >= 0 and plane.max() > 1:
        raise BadImageError("decode", "the array holds neither probabilities nor logits")
    marked: NDArray[np.bool_] = plane > (0 if plane.min() < 0 else 0.5)
    return marked

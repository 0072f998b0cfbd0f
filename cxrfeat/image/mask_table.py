"""Tables whose rows hold lung masks as runs of pixels, as CheXmask publishes them: the only place that walks them.

A table of a large set has gigabytes, so it is passed over once, and a row is kept as the place where it begins.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.image.mask_kept import cells_of, packed_row
from cxrfeat.image.mask_place import Columns, MaskPlace
from cxrfeat.image.table_column import image_column, plain

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""Of files that may be such tables."""

_MOST = 1 << 24  # bytes of a row
_BEGINNING = 1 << 12  # bytes of a row in which its image is named


def mask_columns(path: Path) -> Columns | None:
    """Where a table has what; `None` if it holds no masks.

    The columns of the images have the name that their set gives them (`Image Index`, `dicom_id`, `Path`), those of the
    lungs are `Left Lung` and `Right Lung`.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with _opened(path) as file:
            first = file.readline(_MOST).decode("utf-8-sig", "replace").rstrip("\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None
    delimiter = max(",;\t", key=first.count)
    try:
        header = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error:
        return None
    names = [plain(name) for name in header]
    image = image_column(header)
    if image is None or "leftlung" not in names or "rightlung" not in names:
        return None
    sized = "height" in names and "width" in names
    return Columns(
        delimiter=delimiter,
        image=image,
        left=names.index("leftlung"),
        right=names.index("rightlung"),
        height=names.index("height") if sized else None,
        width=names.index("width") if sized else None,
    )


def holds_masks(path: Path) -> bool:
    """Whether a file is a table of masks; what cannot be read is none."""
    try:
        return path.name.lower().endswith(SUFFIXES) and mask_columns(path) is not None
    except InputError:
        return False


def mask_rows(path: Path, columns: Columns, wanted: Callable[[str], bool]) -> Iterator[tuple[str, MaskPlace]]:
    """The rows of a table of masks whose images are wanted, in their order: the image as it is written, and the mask.

    Args:
        path: Path of the table.
        columns: From `mask_columns`.
        wanted: Whether an image is, given what the table calls it.

    Raises:
        InputError: If it cannot be read to its end.
    """
    packed = _is_gzip(path)
    for start, row in _records(path):
        image = _image_of(row, columns)
        if not start or not image or not wanted(image):  # the header, a blank line
            continue
        if packed:
            runs = _runs(cells_of(row, columns), columns)
            yield image, MaskPlace(form="row", paths=(str(path),), packed=zlib.compress(runs))
        else:
            yield image, MaskPlace(form="row", paths=(str(path),), columns=columns, start=start, length=len(row))


def _image_of(row: bytes, columns: Columns) -> str:
    """The image that a row is of: most rows are of others, and are not taken apart for that."""
    plain = row[:_BEGINNING].partition(b'"')[0].split(columns.delimiter.encode(), columns.image + 1)
    if len(plain) > columns.image + 1:  # what is quoted comes later
        return plain[columns.image].decode("utf-8", "surrogateescape").strip()
    cells = cells_of(row, columns)
    return cells[columns.image].strip() if columns.image < len(cells) else ""


def _runs(cells: list[str], columns: Columns) -> bytes:
    try:
        return packed_row(cells, columns)
    except BadImageError:  # told where the others are, as a mask that cannot be used
        return b"0 0\n\n"


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Where each row begins, and its bytes: several lines, where a cell in quotes holds more than one."""
    with _opened(path) as file:
        start, size, quotes = 0, 0, 0
        lines: list[bytes] = []
        try:
            while line := file.readline(_MOST):
                lines.append(line)
                size, quotes = size + len(line), quotes + line.count(b'"')
                if size >= _MOST:
                    raise InputError(
                        f"A row of {str(path)!r} has over {_MOST >> 20} MB, or a quote in it is never closed. Is it a "
                        "table of masks?"
                    )
                if quotes % 2 == 0:
                    yield start, b"".join(lines)
                    start, size, lines = start + size, 0, []
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(path, error) from None
        if lines:
            yield start, b"".join(lines)


def _opened(path: Path) -> IO[bytes]:
    try:
        if not path.is_file():
            raise InputError(f"{str(path)!r} is not a regular file.")
        return cast("IO[bytes]", gzip.open(path, "rb")) if _is_gzip(path) else path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    why = getattr(error, "strerror", None) or "it is damaged or cut short"
    return InputError(f"The table of masks {str(path)!r} cannot be read ({why}). Repair it, or leave it out.")


def _is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")

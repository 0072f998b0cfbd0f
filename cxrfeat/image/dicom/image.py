"""One DICOM file as an image among the others: its header, and its grey values."""

from __future__ import annotations

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.aspect import square_size, squared
from cxrfeat.image.dicom.element import guarded
from cxrfeat.image.dicom.grey import grey_of, how_shown
from cxrfeat.image.dicom.header import DicomHeader, read_header
from cxrfeat.image.dicom.refusal import MODALITIES, no_picture
from cxrfeat.image.dicom.stored import Layout, check_layout, stored_words
from cxrfeat.image.dicom.syntax import SYNTAXES
from cxrfeat.image.row import Header
from cxrfeat.image.size import check_size
from cxrfeat.types import Grey


def probe_dicom(content: bytes, suffix: str) -> Header:
    """As `probe`, of a DICOM file.

    Raises:
        BadImageError: Stage `header`: damaged, no radiograph of one frame, or outside the limits.
    """
    header, layout = _checked(content)
    height, width = square_size(layout.rows, layout.columns, header.spacing)
    machine = (header.about.modality,) if header.about.modality in MODALITIES else ()
    return Header(
        format="DICOM",
        suffix=suffix.lower(),
        width=width,
        height=height,
        bits=layout.stored,
        mode=", ".join((*machine, layout.photometric, SYNTAXES[layout.syntax].name, how_shown(header.shown))),
        file_bytes=len(content),
    )


def decode_dicom(content: bytes) -> Grey:
    """As `decode`, of a DICOM file: bone is bright, and pixels are square.

    Raises:
        BadImageError: As `probe_dicom`; stage `decode` where the pixels are damaged or cut short.
    """
    header, layout = _checked(content)
    assert header.pixels is not None  # of a whole file that has a layout
    data, pixels = header.pixels

    def made() -> Grey:
        return squared(grey_of(stored_words(layout, data, pixels), layout, header.shown), header.spacing)

    return guarded("decode", made)


def _checked(content: bytes) -> tuple[DicomHeader, Layout]:
    header = read_header(content)
    if why := no_picture(header):
        raise BadImageError("header", f"DICOM, {why}")
    layout = header.layout
    assert layout is not None  # else it is no picture
    check_layout(layout)
    check_size(layout.columns, layout.rows)
    height, width = square_size(layout.rows, layout.columns, header.spacing)
    check_size(width, height)
    return header, layout

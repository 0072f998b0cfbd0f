"""What a DICOM file says of itself, read without its pixels: typed, and only what is used.

The only place that knows tags. Values that are quoted nowhere (names, numbers of patients and studies) go into the
columns of a data set alone; whoever writes a reason down takes none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cxrfeat.errors import BadImageError
from cxrfeat.image.content import opened
from cxrfeat.image.dicom.element import (
    PIXEL_DATA,
    CutShortError,
    Element,
    Elements,
    File,
    damaged,
    guarded,
    read_elements,
)
from cxrfeat.image.dicom.grey import LINEAR, Lut, Shown, Window
from cxrfeat.image.dicom.stored import Layout

_FIRST_BYTES = 1 << 16
"""Of a file, in which nearly every header ends."""

_LUT = (0x00283002, 0x00283006)  # LUT Descriptor, LUT Data
_CODE = (0x00080100, 0x00080104)  # Code Value, Code Meaning
_WANTED = frozenset(
    (0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080050, 0x00080060, 0x00080068, 0x0008103E, 0x00100020,
     0x00100030, 0x00100040, 0x00101010, 0x00180015, 0x00181164, 0x00182010, 0x00185101, 0x0020000D, 0x0020000E,
     0x00200020, 0x00200060, 0x00200062, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030,
     0x00280034, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00280301, 0x00281050,
     0x00281051, 0x00281052, 0x00281053, 0x00281056, 0x00283000, 0x00283010, 0x00540220, 0x20500020)
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whose image it is, and of what: the words of the file, stripped, and empty where it is silent."""

    sop_class: str = ""
    sop_instance: str = ""
    study: str = ""
    series: str = ""
    accession: str = ""
    modality: str = ""
    intent: str = ""
    """`FOR PRESENTATION`, or `FOR PROCESSING`: what the detector saw, not yet a picture."""
    image_type: tuple[str, ...] = ()
    series_description: str = ""
    body_part: str = ""
    view_position: str = ""
    view_code: str = ""
    """What the code of the view means, in words."""
    orientation: tuple[str, ...] = ()
    """Where rows and columns lead to: `L` and `F` in a picture from the front."""
    laterality: str = ""
    patient: str = ""
    sex: str = ""
    age: str = ""
    birth_date: str = ""
    study_date: str = ""
    burned_in: str = ""
    """`YES` where names may stand in the picture itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomHeader:
    """All that is used of a file."""

    about: About
    layout: Layout | None
    """How its pixels are stored; `None` where it has none that are whole numbers."""
    shown: Shown
    """What makes grey of them."""
    frames: int
    spacing: tuple[float, float] | None
    """Distance of rows and of columns, in any unit; `None` where it is not said."""
    pixels: tuple[bytes, Element] | None
    """The data set's bytes, and the place of the pixels in them; cut off where the file was."""


def read_header(content: bytes) -> DicomHeader:
    """The header of a whole DICOM file.

    Raises:
        BadImageError: Stage `header`: damaged, or cut short.
    """
    return guarded("header", partial(_read, content, whole=True))


def read_about(path: Path) -> DicomHeader:
    """The header of a file of which no more is read than its header needs.

    Raises:
        BadImageError: Stage `open` as in `read_file`, or `header` as in `read_header`.
    """
    with opened(path) as (file, size):
        content = file.read(_FIRST_BYTES)
        while True:
            try:
                return guarded("header", partial(_read, content, whole=len(content) >= size))
            except CutShortError:
                more = file.read(max(1 << 20, 3 * len(content)))
                content, size = content + more, size if more else 0


def _read(content: bytes, *, whole: bool) -> DicomHeader:
    file = read_elements(content, _WANTED, whole=whole)
    of = file.elements
    pixels = of.found.get(PIXEL_DATA)
    layout = None if pixels is None else _layout(file, pixels)
    signed = layout is not None and layout.signed
    return DicomHeader(
        about=_about(file),
        layout=layout,
        shown=Shown() if layout is None else _shown(of, signed=signed),
        frames=_frames(of),
        spacing=_spacing(of),
        pixels=None if pixels is None else (of.data, pixels),
    )


def _about(file: File) -> About:
    of = file.elements
    code = next(iter(of.items(0x00540220, _CODE)), None)
    return About(
        sop_class=of.text(0x00080016) or file.meta.text(0x00020002),
        sop_instance=of.text(0x00080018),
        study=of.text(0x0020000D),
        series=of.text(0x0020000E),
        accession=of.text(0x00080050),
        modality=of.text(0x00080060).upper(),
        intent=of.text(0x00080068).upper(),
        image_type=tuple(of.texts(0x00080008)),
        series_description=of.text(0x0008103E),
        body_part=of.text(0x00180015).upper(),
        view_position=of.text(0x00185101).upper(),
        view_code="" if code is None else code.text(0x00080104),
        orientation=tuple(of.texts(0x00200020)),
        laterality=(of.text(0x00200062) or of.text(0x00200060)).upper(),
        patient=of.text(0x00100020),
        sex=of.text(0x00100040).upper(),
        age=of.text(0x00101010).upper(),
        birth_date=of.text(0x00100030),
        study_date=of.text(0x00080020),
        burned_in=of.text(0x00280301).upper(),
    )


def _layout(file: File, pixels: Element) -> Layout:
    of = file.elements
    numbers = {tag: of.integer(tag) for tag in (0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103)}
    rows, columns, allocated, stored, high, signed = numbers.values()
    if rows is None or columns is None or allocated is None:
        raise damaged("it does not say how many pixels it has, or of how many bits")
    stored = allocated if stored is None else stored
    return Layout(
        rows=rows,
        columns=columns,
        samples=of.integer(0x00280002) or 1,
        photometric=of.text(0x00280004).upper(),
        allocated=allocated,
        stored=stored,
        high=stored - 1 if high is None else high,
        signed=bool(signed),
        syntax=file.syntax,
        little=of.little,
        words=pixels.vr == b"OW" or of.implicit,
    )


def _shown(of: Elements, *, signed: bool) -> Shown:
    slopes, intercepts = of.numbers(0x00281053), of.numbers(0x00281052)
    slope, intercept = next(iter(slopes), 1.0), next(iter(intercepts), 0.0)
    modality = _luts(of, 0x00283000, signed=signed)
    # The first value that a VOI LUT maps has a sign where what goes in may have one: PS3.3, C.11.2.1.1.
    below = signed or intercept < 0 or slope < 0
    function = of.text(0x00281056).upper() or LINEAR
    widths = of.numbers(0x00281051)
    return Shown(
        photometric=of.text(0x00280004).upper(),
        shape=of.text(0x20500020).upper(),
        modality=next(iter(modality), None),
        slope=slope,
        intercept=intercept,
        luts=_luts(of, 0x00283010, signed=below and not modality),
        windows=tuple(Window(*ends, function) for ends in zip(of.numbers(0x00281050), widths, strict=False)),
        padding=_padding(of, signed=signed),
    )


def _luts(of: Elements, tag: int, *, signed: bool) -> tuple[Lut, ...]:
    """The tables of a sequence; PS3.3, C.11.1.1 and C.11.2.1.1."""
    found = []
    for item in of.items(tag, _LUT):
        descriptor, first = item.integers(_LUT[0]), item.integers(_LUT[0], signed=signed)
        content = item.value(_LUT[1])
        if len(descriptor) != 3:
            raise damaged("a lookup table is not described by three numbers")
        count, bits = descriptor[0] or 65536, descriptor[2]
        # Entries of 8 bits come in bytes or, against the standard's word and in most files, in words of 16.
        words = len(content) >= 2 * count
        if not 1 <= bits <= 16 or (not words and (bits > 8 or len(content) < count)):
            raise damaged("a lookup table does not have the entries that it says")
        order = "" if not words else "<" if item.little else ">"
        found.append(Lut(content[: count * (2 if words else 1)], f"{order}u{2 if words else 1}", first[1], bits))
    return tuple(found)


def _padding(of: Elements, *, signed: bool) -> tuple[int, int] | None:
    """The least and the greatest stored value that is no part of the picture; PS3.3, C.7.5.1.1.2."""
    value = next(iter(of.integers(0x00280120, signed=signed)), None)
    limit = next(iter(of.integers(0x00280121, signed=signed)), value)
    return None if value is None or limit is None else (min(value, limit), max(value, limit))


def _frames(of: Elements) -> int:
    return int(next(iter(of.numbers(0x00280008)), 1.0))


def _spacing(of: Elements) -> tuple[float, float] | None:
    """Of rows and columns, from the first that says it; PS3.3, C.7.6.3.1.7: the ratio stands where no distance does."""
    for tag in (0x00280030, 0x00181164, 0x00182010, 0x00280034):
        try:
            found = of.numbers(tag)
        except BadImageError:
            continue  # a distance that is none distorts nothing
        if len(found) == 2 and min(found) > 0:
            return found[0], found[1]
    return None

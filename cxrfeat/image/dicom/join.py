"""Tables that name DICOM images by their numbers: of the image, its series, its study, its accession or its patient.

A line becomes as many lines as there are images that it names, each with a path; so whoever reads tables need know
nothing of DICOM.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from cxrfeat.image.dicom.header import About
from cxrfeat.image.note import Note, Weight, number
from cxrfeat.image.table_column import is_image_title, plain
from cxrfeat.image.table_line import Sheet

_KEYS: tuple[tuple[str, tuple[str, ...], Callable[[About], str]], ...] = (
    ("SOPInstanceUID", ("sopinstanceuid", "sopuid", "instanceuid", "imageuid"), lambda about: about.sop_instance),
    ("SeriesInstanceUID", ("seriesinstanceuid", "seriesuid"), lambda about: about.series),
    ("StudyInstanceUID", ("studyinstanceuid", "studyuid"), lambda about: about.study),
    ("AccessionNumber", ("accessionnumber", "accession", "accessionno"), lambda about: about.accession),
    ("PatientID", ("patientid", "patient", "subjectid"), lambda about: about.patient),
)
"""Of the narrowest first: what it is called, the titles of its column, signs and case left out, and its value."""

_ENDS = ("_study", "_image")
"""What the tables of a published set write behind a number."""

IMAGE = "image"


def joined(sheet: Sheet, about: Mapping[str, About], images: Collection[str], column: Mapping[str, str]) -> Sheet:
    """A table whose lines name images by their paths.

    It is the table itself where there is no DICOM file, where it names files, or where no number in it is an image's.

    Args:
        sheet: The table.
        about: What the headers say, by path.
        images: Paths of all images.
        column: The titles that the user gives to our columns.
    """
    if not about or sheet.index is not None:
        return sheet
    place = _image_place(sheet, column)
    names = {name for path in images for name in _names(path)}
    if place is not None and any(
        names.intersection(_names(row[place].strip())) for _, row in sheet.lines if row[place:]
    ):
        return sheet
    for name, titles, of in _KEYS:
        at = place
        if place is None:
            at = next((at for at, title in enumerate(sheet.header) if plain(title) in titles), None)
        paths = _paths(about, of)
        if at is not None and any(_found(paths, row, at) for _, row in sheet.lines):
            return _expanded(sheet, at, paths, name, replaced=place is not None)
    return sheet


def _image_place(sheet: Sheet, column: Mapping[str, str]) -> int | None:
    if IMAGE in column:
        return next((at for at, title in enumerate(sheet.header) if plain(title) == plain(column[IMAGE])), None)
    return next((at for at, title in enumerate(sheet.header) if is_image_title(title)), None)


def _names(path: str) -> tuple[str, str]:
    """The name of a file, with and without its suffix; the parts of a UID are none."""
    name = path.replace("\\", "/").rpartition("/")[2]
    stem, _, suffix = name.rpartition(".")
    return name, stem if stem and suffix.isalpha() else name


def _paths(about: Mapping[str, About], of: Callable[[About], str]) -> Mapping[str, list[str]]:
    """The images of each number; of one without its leading zeros too, as spreadsheets omit them."""
    whole: dict[str, list[str]] = defaultdict(list)
    for path, each in sorted(about.items()):
        if value := of(each):
            whole[value].append(path)
    bare: dict[str, list[str]] = defaultdict(list)
    for value in whole:
        bare[value.lstrip("0") or "0"].append(value)
    short = {one: whole[values[0]] for one, values in bare.items() if len(values) == 1 and one not in whole}
    return short | whole


def _found(paths: Mapping[str, list[str]], row: Sequence[str], at: int) -> list[str]:
    text = row[at].strip() if at < len(row) else ""
    for end in ("", ".0", *_ENDS):
        if text.endswith(end) and (found := paths.get(text.removesuffix(end))):
            return found
    return []


def _expanded(sheet: Sheet, at: int, paths: Mapping[str, list[str]], name: str, *, replaced: bool) -> Sheet:
    """A line for each image; those of none are counted, and dropped."""
    lines: list[tuple[int, list[str]]] = []
    lost = several = 0
    width = len(sheet.header)
    for line, row in sheet.lines:
        found = _found(paths, row, at)
        lost += not found
        several += len(found) > 1
        for path in found:
            whole = [*row, *[""] * (width - len(row))]
            if replaced:
                whole[at] = path
            lines.append((line, whole if replaced else [*whole, path]))
    notes = [*sheet.notes, Note(text=f"Images are named by their {name} in {sheet.name}.", weight=Weight.MINOR)]
    if several:
        text = f"{number(several, 'row')} of {sheet.name} {'names' if several == 1 else 'name'} several images each."
        notes.append(Note(text=text, weight=Weight.MINOR))
    if lost:
        text = f"{number(lost, 'row')} of {sheet.name} with a {name} of no image that is taken."
        notes.append(Note(text=text))
    header = sheet.header if replaced else [*sheet.header, IMAGE]
    return replace(sheet, header=header, lines=lines, notes=notes)

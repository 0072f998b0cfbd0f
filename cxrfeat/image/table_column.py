"""Which column of a table is which: the only place that knows the names that others give them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cxrfeat.errors import InputError, SpecError
from cxrfeat.image.note import Note, Weight
from cxrfeat.image.table_line import Sheet
from cxrfeat.image.value import part_of, unknown
from cxrfeat.system.given import nearest

TABLE = "metadata.csv"
"""What the table of a data set is called, where nobody names one; other formats have their own suffix."""

_COLUMNS = {
    "image": ("image", "filename", "file", "filepath", "path", "imagepath", "imageindex", "imageid", "dicomid",
              "imagename", "imagefile", "imagefilename", "img", "imgpath", "relativepath"),
    "label": ("label", "labels", "class", "classname", "finding", "findings", "findinglabels", "diagnosis", "category",
              "target", "disease", "condition"),
    "patient_id": ("patientid", "patient", "subjectid", "subject", "patientnumber", "patientno", "patientkey",
                   "patientname", "pid", "ptid"),
    "source": ("source", "hospital", "institution", "site", "centre", "center", "dataset", "location", "collection",
               "database", "origin"),
    "split": ("split", "set", "subset", "partition", "part", "datasplit", "traintest", "phase", "usage", "fold",
              "dataset"),
    "date": ("date", "studydate", "studydatedicom", "acquisitiondate", "examdate", "scandate", "imagedate"),
    "sex": ("sex", "gender", "patientsex", "patientgender", "patientsexdicom"),
    "age": ("age", "patientage", "ageyears", "ageinyears", "patientageyears"),
    "view_position": ("viewposition", "view", "projection", "appa", "viewpositiondicom", "position"),
    "modality": ("modality", "modalitydicom"),
    "laterality": ("laterality", "imagelaterality"),
    "folder": ("folder", "directory", "dir", "subfolder", "imagefolder", "imagedir"),
    "mask": ("mask", "maskpath", "maskfile", "lungmask", "lungmaskpath", "masks"),
}  # fmt: skip
"""The columns that are used, and the names under which they are taken, signs and case left out; first come first."""

OURS = tuple(_COLUMNS)
"""Our names of the columns, in the order in which they are shown."""

_BY_VALUE = ("set", "subset", "partition", "part", "phase", "usage", "fold", "dataset", "traintest")
"""Names that mean the split only where the values are parts of one."""

_PATIENT_WORDS = ("patient", "subject", "person", "mrn")
_TITLES = ("file_name", "path", "Image Index", "image_id", "...")


@dataclass(slots=True, kw_only=True)
class Columns:
    """Which column of a table is which."""

    index: dict[str, int] = field(default_factory=dict)
    """Our names of the columns that are read, with their places."""
    unused: list[str] = field(default_factory=list)
    """Titles of the others."""
    notes: list[Note] = field(default_factory=list)


def check_names(column: Mapping[str, str]) -> None:
    """Refuse names of columns that nobody reads.

    Raises:
        SpecError: If one is none of ours.
    """
    for ours in column:
        if ours not in _COLUMNS:
            raise SpecError(
                f"`column` maps {ours!r}, which nothing reads.{nearest(ours, _COLUMNS)} What is "
                f"read is {', '.join(_COLUMNS)}."
            )


def used_columns(
    sheet: Sheet, column: Mapping[str, str] | None = None, findings: Collection[int] = (), kept: Collection[int] = ()
) -> Columns:
    """Find the columns that are used.

    Args:
        sheet: Some titles mean something only by the values under them.
        column: The titles that the user gives to some of ours; an empty one leaves a column of ours unread.
        findings: Places of columns that hold findings, and are none of ours but by `column`.
        kept: Places of columns that the user keeps, whatever else they are.

    Raises:
        InputError: If a title is not there, stands there twice, or there is none of images.
    """
    if sheet.index is not None:
        return Columns(index=sheet.index, unused=sheet.unused)
    header, column = sheet.header, column or {}
    names = [plain(name) for name in header]
    _refuse_twice(sheet)

    def holds_parts(place: int) -> bool:
        known = {row[place].strip() for _, row in sheet.lines if place < len(row) and not unknown(row[place].strip())}
        return bool(known) and any(part_of(text) is not None for text in known)

    index = {ours: _place(sheet, ours, title) for ours, title in column.items() if title}
    for ours in ("split", *(name for name in _COLUMNS if name != "split")):
        for alias in () if ours in column else _COLUMNS[ours]:
            taken = {*index.values(), *findings}
            places = [place for place, name in enumerate(names) if name == alias and place not in taken]
            if ours == "split" and alias in _BY_VALUE:
                places = [place for place in places if holds_parts(place)]
            if places:
                index[ours] = places[0]
                break
    if "image" not in index:
        titles = ", ".join(name.strip() for name in header if name.strip()) or "none"
        raise InputError(
            f"{sheet.name}: there is no column image (or {', '.join(_TITLES)}). The columns are {titles}. A table "
            "lists one image in a row: its path, or its name, and what is known of it. If one of these names the "
            "images, say so: `column=image=TITLE`."
        )
    used = {*index.values(), *findings, *kept}
    unused = [header[place].strip() for place in range(len(header)) if place not in used and names[place]]
    found = Columns(index=index, unused=unused)
    found.notes += _told(sheet, index)
    _note_unused(sheet.name, unused, {*index, *column}, found.notes)
    return found


def _refuse_twice(sheet: Sheet) -> None:
    names = [name.strip().casefold() for name in sheet.header]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        there = f"the column {twice[0]} is" if len(twice) == 1 else f"the columns {', '.join(twice)} are"
        raise InputError(f"{sheet.name}: {there} there twice; keep one of each.")


def _place(sheet: Sheet, ours: str, title: str) -> int:
    """Where the column with a title stands: as it is written, or but for case and signs."""
    for same in (str.strip, plain):
        found = [place for place, name in enumerate(sheet.header) if same(name) == same(title)]
        if len(found) == 1:
            return found[0]
    titles = [name.strip() for name in sheet.header if name.strip()]
    raise InputError(
        f"`column` takes {ours} from {title!r}, and {sheet.name} has no such column.{nearest(title, titles)} "
        f"Its columns are {', '.join(titles)}."
    )


def _told(sheet: Sheet, index: Mapping[str, int]) -> list[Note]:
    """Which column is read as which, and how the table is written, where either is not as here."""
    titles = {ours: sheet.header[place].strip() for ours, place in index.items()}
    renamed = [f"{theirs} as {ours}" for ours, theirs in titles.items() if theirs.lower() != ours]
    form = f" ({sheet.form})" if sheet.form.removesuffix(", UTF-8") not in ("", "comma-separated") else ""
    if not renamed and not form:
        return []
    return [Note(text=f"Read from {sheet.name}{form}: {', '.join(renamed or titles)}.", weight=Weight.MINOR)]


def _note_unused(table: str, unused: Sequence[str], index: Collection[str], notes: list[Note]) -> None:
    known = {alias: ours for ours, aliases in _COLUMNS.items() for alias in aliases}
    rest = []
    for title in unused:
        name = plain(title)
        if name in _BY_VALUE:  # its values are no parts of a split
            rest.append(title)
            continue
        ours = known.get(name) or next((known[one] for one in difflib.get_close_matches(name, known, 1, 0.8)), None)
        if ours is None and any(word in name for word in _PATIENT_WORDS):
            ours = "patient_id"
        if ours is None:
            rest.append(title)
        elif ours in index:
            weight = Weight.NOTABLE if ours in ("patient_id", "split") else Weight.MINOR
            notes.append(Note(text=f"The column {title} is not used, since another is read as {ours}.", weight=weight))
        else:
            lost = ours in ("patient_id", "split")
            notes.append(
                Note(
                    text=f"The column {title} is not used. Did you mean {ours}? Then name it so.",
                    weight=Weight.LOSS if lost else Weight.NOTABLE,
                )
            )
    if rest:
        word = "column" if len(rest) == 1 else "columns"
        notes.append(Note(text=f"Not used of {table}: the {word} {', '.join(rest)}.", weight=Weight.MINOR))


def is_image_title(title: str) -> bool:
    """Whether a column of this title names the images."""
    return plain(title) in _COLUMNS["image"]


def plain(name: str) -> str:
    """A column's name without case and signs.

    Example:
        >>> plain("Patient_ID"), plain("AP/PA")
        ('patientid', 'appa')
    """
    return re.sub(r"[\W_]+", "", name.casefold())


def image_column(header: Sequence[str]) -> int | None:
    """The place of the column that names the images, under any name that is known for it.

    Example:
        >>> image_column(["", "dicom_id", "Left Lung"]), image_column(["a", "b"])
        (1, None)
    """
    names = [plain(name) for name in header]
    return next((names.index(alias) for alias in _COLUMNS["image"] if alias in names), None)

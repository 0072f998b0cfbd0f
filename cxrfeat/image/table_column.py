"""Which column of `metadata.csv` is which: the only place that knows the names that others give them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence

from cxrfeat.errors import InputError
from cxrfeat.image.note import Note, Weight
from cxrfeat.image.value import part_of, unknown

TABLE = "metadata.csv"

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
    "date": ("date", "studydate", "acquisitiondate", "examdate", "scandate", "imagedate"),
    "sex": ("sex", "gender", "patientsex", "patientgender", "patientsexdicom"),
    "age": ("age", "patientage", "ageyears", "ageinyears", "patientageyears"),
    "view_position": ("viewposition", "view", "projection", "appa", "position"),
    "folder": ("folder", "directory", "dir", "subfolder", "imagefolder"),
    "mask": ("mask", "maskpath", "maskfile", "lungmask", "lungmaskpath", "masks"),
}  # fmt: skip
"""The columns that are used, and the names under which they are taken, signs and case left out; first come first."""

_BY_VALUE = ("set", "subset", "partition", "part", "phase", "usage", "fold", "dataset", "traintest")
"""Names that mean the split only where the values are parts of one."""

_PATIENT_WORDS = ("patient", "subject", "person", "mrn")
_TITLES = ("file_name", "path", "Image Index", "image_id", "...")


def check_header(first: Sequence[str], line: int) -> None:
    """Refuse a header without a column of images, or with one column twice; `line` is its number."""
    names = [name.strip().casefold() for name in first]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    problems = [f"the column {name} is there twice; keep one" for name in twice]
    if not any(plain(name) in _COLUMNS["image"] for name in names):
        problems.append(f"there is no column image (or {', '.join(_TITLES)})")
    if problems:
        raise InputError(
            f"{TABLE}, line {line}: {'; '.join(problems)}. The columns are {', '.join(names) or 'none'}. It lists one "
            "image in a row: its path beside the table, and what is known of it."
        )


def used_columns(
    header: Sequence[str], lines: Sequence[tuple[int, Sequence[str]]]
) -> tuple[dict[str, int], list[Note]]:
    """Find the columns that are used.

    Args:
        header: Titles of all columns.
        lines: With their numbers; some titles mean something only by the values under them.

    Returns:
        Our names of the columns with their places, and what there is to say of columns that are renamed or not used.
    """
    names = [plain(name) for name in header]

    def holds_parts(place: int) -> bool:
        known = {row[place].strip() for _, row in lines if place < len(row) and not unknown(row[place].strip())}
        return bool(known) and any(part_of(text) is not None for text in known)

    index: dict[str, int] = {}
    for ours in ("split", *(name for name in _COLUMNS if name != "split")):
        for alias in _COLUMNS[ours]:
            places = [place for place, name in enumerate(names) if name == alias and place not in index.values()]
            if ours == "split" and alias in _BY_VALUE:
                places = [place for place in places if holds_parts(place)]
            if places:
                index[ours] = places[0]
                break
    notes = []
    titles = {ours: header[place].strip() for ours, place in index.items()}
    renamed = [f"{theirs} as {ours}" for ours, theirs in titles.items() if theirs.lower() != ours]
    if renamed:
        notes.append(Note(text=f"Read from {TABLE}: {', '.join(renamed)}.", weight=Weight.MINOR))
    unused = [header[place].strip() for place in range(len(header)) if place not in index.values() and names[place]]
    _note_unused(unused, index, notes)
    return index, notes


def _note_unused(unused: Sequence[str], index: Collection[str], notes: list[Note]) -> None:
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
        notes.append(Note(text=f"Not used of {TABLE}: the {word} {', '.join(rest)}.", weight=Weight.MINOR))


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

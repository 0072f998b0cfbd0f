"""The DICOM files of a folder, by their headers alone: which are frontal radiographs of a chest, and whose they are."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.columns import described
from cxrfeat.image.dicom.grey import how_shown
from cxrfeat.image.dicom.header import About, read_about
from cxrfeat.image.dicom.refusal import is_listed, no_picture, unwanted, view_of
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.projection import Projection
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.crew import crew_pays
from cxrfeat.system.process import threads

SUFFIXES = (".dcm", ".dicom", ".ima")

_TOGETHER = 64
"""Headers that a thread reads at a time: handing one over takes as long as reading it."""

_HEADERS_A_STEP = 3
"""They take as long as one view."""

_ONE_PATIENT = 10
"""Studies that are not of one patient, whatever their files say: this many share a name where names were removed."""


@dataclass(slots=True)
class Radiographs:
    """What the headers of a folder say."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of each radiograph, what is known of it: fields of `Described`."""
    about: dict[str, About] = field(default_factory=dict)
    """Of each radiograph, the numbers that a table may name it by, and more."""
    left: dict[str, list[str]] = field(default_factory=dict)
    """Files that are something else, by what they are."""
    notes: list[Note] = field(default_factory=list)

    def aside(self) -> set[str]:
        """Paths of the files that are something else."""
        return {path for paths in self.left.values() for path in paths}


def read_radiographs(
    root: Path, images: Collection[str], recognised: Collection[str], projection: Projection = "frontal"
) -> Radiographs:
    """Read the headers of a folder's DICOM files.

    What no picture comes of (many frames, reports, damaged files) stays among the images, to be quarantined by name.

    Args:
        root: The folder.
        images: Paths of all images in it, relative to it.
        recognised: Those of them that were taken for images by their content.
        projection: The views that are wanted.
    """
    paths = sorted(path for path in images if path.lower().endswith(SUFFIXES) or path in recognised)
    found = Radiographs()
    left: dict[str, list[str]] = defaultdict(list)
    several: Counter[str] = Counter()
    parts = [paths[start : start + _TOGETHER] for start in range(0, len(paths), _TOGETHER)]
    # Reading a header is Python's own work, so only processes do more of it at a time.
    pays = crew_pays(len(paths) // _HEADERS_A_STEP, threads())
    with Ahead(partial(_read, os.fspath(root), projection), parts, processes=pays) as results:
        for part, told in zip(parts, results, strict=True):
            for path, (about, how, why) in zip(part, told, strict=True):
                if why:
                    left[why].append(path)
                elif about is not None:
                    found.about[path] = about
                    found.columns[path] = described(about)
                    if " of " in how:
                        several[how.partition(" (")[0]] += 1
    found.left = dict(sorted(left.items()))
    found.notes = _notes(found, several)
    return found


def _read(root: str, projection: Projection, paths: list[str]) -> list[tuple[About | None, str, str]]:
    """Of each file what it says and how it is shown, if it is a radiograph, or else why it is left out, if it is."""
    return [_read_one(Path(f"{root}/{path}"), projection) for path in paths]


def _read_one(path: Path, projection: Projection) -> tuple[About | None, str, str]:
    try:
        header = read_about(path)
    except BadImageError:
        return None, "", ""  # who reads all of it says why
    if why := no_picture(header):
        return None, "", why if is_listed(header) else ""
    why = unwanted(header.about, projection)
    return (None, "", why) if why else (header.about, how_shown(header.shown), "")


def _notes(found: Radiographs, several: Mapping[str, int]) -> list[Note]:
    notes = []
    if several:
        told = ", ".join(f"{how} in {number(count, 'file')}" for how, count in sorted(several.items()))
        notes.append(Note(text=f"DICOM files with several windows or VOI LUTs: {told}.", weight=Weight.MINOR))
    if _drop_one_patient(found):
        text = "All DICOM files name the same patient, in many studies: taken for unknown."
        notes.append(Note(text=text))
    silent = [path for path, about in found.about.items() if not view_of(about)]
    if silent:
        do = "does not say its view" if len(silent) == 1 else "do not say their view"
        text = f"{number(len(silent), 'DICOM file')} {do}{examples(silent)}, and {_are(silent)} taken for frontal."
        notes.append(Note(text=text))
    burned = [path for path, about in found.about.items() if about.burned_in == "YES"]
    if burned:
        say = "says that text is" if len(burned) == 1 else "say that text is"
        text = (
            f"{number(len(burned), 'DICOM file')} {say} burned into the picture (BurnedInAnnotation)"
            f"{examples(burned)}: it may name the patient, and anyone who sees the picture can read it."
        )
        notes.append(Note(text=text, weight=Weight.NOTABLE))
    return notes


def _drop_one_patient(found: Radiographs) -> bool:
    """Make unknown what is no patient's number: one that all of many studies have, as where names were taken out."""
    patients = Counter(columns.get("patient") for columns in found.columns.values())
    studies = {about.study for about in found.about.values()}
    if len(patients) != 1 or None in patients or len(studies) < _ONE_PATIENT:
        return False
    for columns in found.columns.values():
        del columns["patient"]
    return True


def _are(paths: Collection[str]) -> str:
    return "is" if len(paths) == 1 else "are"

"""What a DICOM header says of an image next to its pixels, in the words of the other columns.

These go where those of a table go: into the manifest and, dates, ages, sexes and views of them, into the features.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from cxrfeat.image.dicom.header import About
from cxrfeat.image.dicom.refusal import MODALITIES, view_of
from cxrfeat.image.value import age_of, dates_of, unknown

_SEXES = ("M", "F", "O")  # PS3.3, C.7.1.1
_SIDES = ("L", "R", "B", "U")  # PS3.3, C.7.3.1.1.1 and C.8.11.1
_DAYS_A_YEAR = 365.25


def described(about: About) -> dict[str, Any]:
    """Patient, study date, sex, age, view, modality and laterality, by their names in `Described`.

    Those that are not known are left out.

    Example:
        >>> described(About(patient="P7", sex="F", age="058Y", study_date="20200131", view_position="PA"))
        {'patient': 'P7', 'date': '2020-01-31', 'sex': 'F', 'age': 58.0, 'view_position': 'PA'}
    """
    day, born = (_day(text) for text in (about.study_date, about.birth_date))
    found = {
        "patient": None if unknown(about.patient) else about.patient,
        "date": day,
        "sex": about.sex if about.sex in _SEXES else None,
        "age": age_of(about.age) if about.age else _age(born, day),
        "view_position": _view(about),
        "modality": about.modality if about.modality in MODALITIES else None,
        "laterality": about.laterality if about.laterality in _SIDES else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _day(text: str) -> str | None:
    return dates_of([text])[0] if re.fullmatch(r"\d{8}|\d{4}[.]\d\d[.]\d\d", text) else None


def _age(born: str | None, day: str | None) -> float | None:
    """In whole years, as ages are given."""
    if born is None or day is None:
        return None
    years = (date.fromisoformat(day) - date.fromisoformat(born)).days // _DAYS_A_YEAR
    return years if 0 <= years <= 120 else None


def _view(about: About) -> str | None:
    """`AP`, `PA`, or what kind of view it is; no words of the file's own."""
    for text in (about.view_position, about.view_code.upper()):
        if re.match(r"AP\b|AP_|ANTERO-?POSTERIOR", text):
            return "AP"
        if re.match(r"PA\b|PA_|POSTERO-?ANTERIOR", text):
            return "PA"
    kind = view_of(about)
    return kind.upper() if kind not in ("", "frontal") else None

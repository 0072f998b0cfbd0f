"""Who is on an image: a patient found in its path, and whether a patient number stands for one person."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from cxrfeat.errors import InputError
from cxrfeat.image.row import Described
from cxrfeat.system.given import nearest

PATIENT_PATTERNS = {
    "chexpert": r"(patient\d+)/study\d+/",
    "figure1": r"(COVID-\d{5})[a-z]?\.\w+$",
    "kermany": r"((?:(?<![^/])test/[^/]+/)?(?:person\d+|(?:NORMAL2-)?IM-\d+|(?:BACTERIA|VIRUS|NORMAL)-\d+))[_-]",
    "mimic-cxr": r"(?:^|/)p\d\d/(p\d{8})/s\d+/",
    "nih": r"(?:^|/)(\d{8})_\d{3}\.\w+$",
    "nlm-tb": r"((?:CHN|MCU)CXR_\d+)_[01]\.\w+$",
    "ricord": r"MIDRC-RICORD-\w+-(\w+-\d+)-",
    "siim-covid19": r"([0-9a-f]{12})/[0-9a-f]{12}/[0-9a-f]{12}\.\w+$",
}
"""Where the file names of published sets hold the patient. Guangzhou's (`kermany`) begin anew in the folder `test`, as
`train/PNEUMONIA/person1_bacteria_1.jpeg` and `test/PNEUMONIA/person1_virus_6.jpeg` show; of SIIM's it is the study."""

AGES_APART = 20.0
"""Years between two ages under one number, where no dates explain them: longer than most archives have been kept."""

BORN_APART = 3.0
"""Years between two years of birth, where date less age gives them: rounded ages, and dates moved, make two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedPatients:
    """Patients that seem to be several people."""

    rows: tuple[tuple[int, ...], ...] = ()
    """The images of each."""
    reasons: tuple[tuple[str, int], ...] = ()
    """What speaks for it, and for how many; one patient may be under several."""

    def said(self, of: int, what: str = "patient numbers") -> str:
        """It in a sentence.

        Args:
            of: Patients in all.
            what: What they are told by.

        Example:
            >>> MixedPatients(rows=((0, 1),), reasons=(("in several sources", 1),)).said(40)
            '1 of 40 patient numbers does not seem to be one person: 1 in several sources.'
        """
        told = ", ".join(f"{count} {reason}" for reason, count in self.reasons)
        do = "does" if len(self.rows) == 1 else "do"
        return f"{len(self.rows)} of {of} {what} {do} not seem to be one person: {told}."


def mixed_patients(
    patients: Sequence[Hashable | None],
    sources: Sequence[str | None],
    sexes: Sequence[str | None],
    ages: Sequence[float | None],
    dates: Sequence[str | None],
) -> MixedPatients:
    """Find the patients whose images disagree about who they are; what is unknown disagrees with nothing.

    Args:
        patients: `(images,)` a name or number, `None` where unknown.
        sources: `(images,)` likewise, as all that follow.
        sexes: As the data write them: `M`, `male` and `Man` are one.
        ages: Years.
        dates: ISO 8601; with them, ages years apart may be one person's.

    Example:
        >>> found = mixed_patients(["7", "7", "8"], ["A", "B", "A"], ["M", "F", None], [30, 70, 5], [None] * 3)
        >>> found.rows, [count for _, count in found.reasons]
        (((0, 1),), [1, 1, 1])
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, patient in enumerate(patients):
        if patient is not None:
            members[patient].append(row)
    found, reasons = [], Counter[str]()
    for rows in members.values():
        why = []
        if len({sources[row] for row in rows} - {None}) > 1:
            why.append("in several sources")
        if len({_sex(sexes[row]) for row in rows} - {None}) > 1:
            why.append("of different sexes")
        aged = [(age, dates[row]) for row in rows if (age := ages[row]) is not None]
        if aged and _ages_apart(aged):
            why.append("of ages too far apart")
        if why:
            found.append(tuple(rows))
            reasons.update(why)
    order = ("in several sources", "of different sexes", "of ages too far apart")
    return MixedPatients(rows=tuple(found), reasons=tuple((name, reasons[name]) for name in order if reasons[name]))


def mixed_rows(rows: Sequence[Described]) -> MixedPatients:
    """`mixed_patients` of the images of a folder."""
    return mixed_patients(
        [row.patient for row in rows],
        [row.source for row in rows],
        [row.sex for row in rows],
        [row.age for row in rows],
        [row.date for row in rows],
    )


def mixed_notes(rows: Sequence[Described]) -> list[str]:
    """What `index` has to say of patients that seem to be several people: a line, or none. It names nobody."""
    mixed = mixed_rows(rows)
    if not mixed.rows:
        return []
    said = mixed.said(len({row.patient for row in rows} - {None}))
    return [
        f"{said} If the numbers start again in each source, make them differ in the column patient_id, as in A-17 and "
        "B-17: "
        "images of one number are kept together."
    ]


def find_patients(paths: Sequence[str], pattern: str) -> dict[str, str]:
    """The patient that a regular expression finds in each path: group `patient`, else the first, else the whole match.

    Args:
        paths: Paths of the images.
        pattern: Searched for in each path, which is relative to the data root; or a word of `PATIENT_PATTERNS`.

    Returns:
        Path to patient, for the paths that match.

    Raises:
        InputError: If it is no regular expression, a word that is none of these, or matches no path.

    Example:
        >>> find_patients(["test/PNEUMONIA/person1_virus_6.jpeg", "val/NORMAL/IM-7-0001.jpeg"], "kermany")
        {'test/PNEUMONIA/person1_virus_6.jpeg': 'test/PNEUMONIA/person1', 'val/NORMAL/IM-7-0001.jpeg': 'IM-7'}
    """
    presets = ", ".join(PATIENT_PATTERNS)
    if pattern not in PATIENT_PATTERNS and re.fullmatch(r"[A-Za-z]\w*(-\w+)*", pattern):
        raise InputError(
            f"`patient_regex` {pattern!r} is a word, which would find one patient only, and none of the words for "
            f"published sets: {presets}.{nearest(pattern, PATIENT_PATTERNS)} A pattern of your own holds what differs, "
            r"as (patient\d+) does."
        )
    try:
        expression = re.compile(PATIENT_PATTERNS.get(pattern, pattern))
    except re.error as error:
        raise InputError(f"`patient_regex` {pattern!r} is not a regular expression: {error}.") from error
    group: str | int = "patient" if "patient" in expression.groupindex else min(1, expression.groups)
    found = {path: match[group] for path in paths if (match := expression.search(path)) and match[group]}
    if not found and paths:
        raise InputError(
            f"`patient_regex` {pattern!r} finds no patient in any path, such as {paths[0]!r}. It is searched for in "
            f"the path relative to the data folder. There are words for published sets: {presets}."
        )
    return found


def _sex(text: str | None) -> str | None:
    """The first letter, W (woman) being F."""
    first = (text or "").strip()[:1].casefold()
    return {"w": "f"}.get(first, first) or None


def _ages_apart(aged: Sequence[tuple[float, str | None]]) -> bool:
    born = [int(date[:4]) - age for age, date in aged if date and date[:4].isdigit()]
    if len(born) == len(aged):
        return max(born) - min(born) > BORN_APART
    ages = [age for age, _ in aged]
    return max(ages) - min(ages) >= AGES_APART

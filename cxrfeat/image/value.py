"""What the cells of a table mean: unknown, a date, an age, a part of a split, a number that a spreadsheet reformatted.

The only place that knows how people, pandas and Excel write these. Functions take the text of a cell, spaces stripped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache

from cxrfeat.types import Part

_PROGRAMS = (
    # pandas and NumPy; databases; Excel's errors
    "", "na", "n/a", "nan", "-nan", "<na>", "nat", "null", "#n/a", "#n/a n/a", "#na", "1.#ind", "-1.#ind", "1.#qnan",
    "-1.#qnan", "nil", "#null!", "#value!", "#ref!", "#name?", "#div/0!", "#num!", "-", "--", "---", "\u2013", "\u2014",
    ".", "..", "...", "?", "??", "???", "n.a.", "n.a", "n. a.", "/",
)  # fmt: skip
_PEOPLE = (
    "none", "unknown", "unkown", "unk", "unk.", "unspecified", "not specified", "undefined", "missing", "not available",
    "not applicable", "not reported", "not stated", "not known", "not given", "not recorded", "n.d.", "no data", "tbd",
    "anonymous", "anonymized", "anonymised", "anon", "redacted", "withheld", "-1", "-1.0", "-9", "-99", "-999", "-9999",
)  # fmt: skip

PLACEHOLDERS = frozenset((*_PROGRAMS, *_PEOPLE))
"""What stands for *unknown* in a table, in any column, upper or lower case."""

LABEL_PLACEHOLDERS = frozenset(_PROGRAMS)
"""The same for the label: only what programs write, since a class may well be called None, Unknown or -1."""


def unknown(text: str, placeholders: frozenset[str] = PLACEHOLDERS) -> bool:
    """Whether a cell says that its value is not known.

    Example:
        >>> [unknown(text) for text in ("<NA>", "Missing", "-", "GMH", "None")]
        [True, True, True, False, True]
        >>> unknown("None", LABEL_PLACEHOLDERS)
        False
    """
    return " ".join(text.lower().split()) in placeholders


_FLOAT = re.compile(r"(-?\d+)\.0+")
_SCIENTIFIC = re.compile(r"-?\d(?:\.\d+)?e\+?\d{1,3}", re.IGNORECASE)


def restored(values: Sequence[str]) -> tuple[list[str], int, bool]:
    """A column of numbers as it was before a spreadsheet, or pandas, made `123.0` of `123` and dropped leading zeros.

    Nothing is done unless the column shows it: some value is a whole number written with `.0`, and none has another
    fraction. Then `.0` goes everywhere, and values that differ in leading zeros only become one; else `0123` and `123`
    stay what they are.

    Args:
        values: The known values, in any order.

    Returns:
        The values in the same order, how many were changed, and whether leading zeros were among what changed.

    Example:
        >>> restored(["7.0", "7", "p1", "007"])
        (['7', '7', 'p1', '7'], 2, True)
        >>> restored(["7", "007"])
        (['7', '007'], 0, False)
        >>> restored(["7.0", "7.5"])
        (['7.0', '7.5'], 0, False)
    """
    fractions = [text for text in values if re.fullmatch(r"-?\d+\.\d+", text)]
    if not fractions or not all(_FLOAT.fullmatch(text) for text in fractions):
        return list(values), 0, False
    whole = [match[1] if (match := _FLOAT.fullmatch(text)) else text for text in values]
    forms: dict[str, set[str]] = {}
    for text in whole:
        if text.isdecimal():
            forms.setdefault(text.lstrip("0") or "0", set()).add(text)
    found = [(text.lstrip("0") or "0") if text.isdecimal() and len(forms[text.lstrip("0") or "0"]) > 1 else text
             for text in whole]  # fmt: skip
    return found, sum(a != b for a, b in zip(found, values, strict=True)), found != whole


def differ_by_zeros(values: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of numbers in a column that are one number but for leading zeros: perhaps one patient.

    Example:
        >>> differ_by_zeros(["12", "0012", "p1", "7"])
        [('0012', '12')]
    """
    forms: dict[str, set[str]] = {}
    for text in values:
        if text.isdecimal():
            forms.setdefault(text.lstrip("0") or "0", set()).add(text)
    return [(some[0], some[-1]) for some in map(sorted, forms.values()) if len(some) > 1]


def scientific(values: Iterable[str]) -> list[str]:
    """Numbers in a column that a spreadsheet cut to a few digits, as in `1.23E+11`: different ones may look alike."""
    return sorted({text for text in values if _SCIENTIFIC.fullmatch(text)})


_TRAIN, _VALIDATION, _TEST = (
    ("train", "training", "trn", "trainset"),
    ("val", "valid", "validation", "validate", "dev", "valset"),
    ("test", "testing", "tst", "testset"),
)
_PART_WORDS = (
    dict.fromkeys(_TRAIN, Part.TRAIN) | dict.fromkeys(_VALIDATION, Part.VALIDATION) | dict.fromkeys(_TEST, Part.TEST)
)
_BESIDE_PARTS = frozenset(
    ("image", "images", "img", "imgs", "set", "data", "dataset", "split", "part", "folder", "png", "jpg", "jpeg",
     "stage", "cxr", "xray", "xrays", "dir", "subset")
)  # fmt: skip


@lru_cache(maxsize=4096)  # of folders, whose names come again with every image
def words(name: str) -> tuple[str, ...]:
    """The words of a name, lower case: parted at signs, between letters and digits, and where a capital begins one.

    Example:
        >>> words("stage_2_trainImages"), words("Lung Masks-256"), words("COVID")
        (('stage', '2', 'train', 'images'), ('lung', 'masks', '256'), ('covid',))
    """
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+", name))


@lru_cache(maxsize=4096)
def part_of(text: str) -> Part | None:
    """The part of a split that a cell or a folder names; `None` if it names none.

    Example:
        >>> [part_of(text) for text in ("Training", "test_images", "validation set", "fold1", "Test results")]
        [<Part.TRAIN: 'train'>, <Part.TEST: 'test'>, <Part.VALIDATION: 'validation'>, None, None]
    """
    found = words(text)
    parts = {_PART_WORDS[word] for word in found if word in _PART_WORDS}
    others = [word for word in found if word not in _PART_WORDS and word not in _BESIDE_PARTS and not word.isdecimal()]
    return parts.pop() if len(parts) == 1 and not others else None


_UNITS = {"y": 1.0, "m": 12.0, "w": 52.18, "d": 365.25}
_AGE = re.compile(
    r"(?:[<>≤≥~]=?|about|over|under)?\s*(\d+(?:[.,]\d+)?)\s*\+?\s*(?:([ymwd])[a-z]*\.?(?:\s*old)?)?", re.I
)


def age_of(text: str) -> float | None:
    """An age in years, 0 to 120; `None` if the text is no age, or one that nobody has.

    Understood are numbers (`58`, `58,5`), DICOM's form (`058Y`, `018M`), words (`6 months`) and limits, as ages are
    coarsened to protect people (`90+` and `>89` are taken as 90 and 89).

    Example:
        >>> [age_of(text) for text in ("58,5", "018M", "90+", "411", "20s")]
        [58.5, 1.5, 90.0, None, None]
    """
    match = _AGE.fullmatch(text)
    if match is None:
        return None
    years = float(match[1].replace(",", ".")) / _UNITS[(match[2] or "y").lower()]
    return years if years <= 120 else None


_ISO_PART = re.compile(r"\d{4}(-\d{2})?")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHES = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_CLOCK = re.compile(r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AP]M)?(Z|[+-]\d{2}:?\d{2})?$", re.IGNORECASE)
_WRITTEN = ("%B %d, %Y", "%b %d, %Y", "%B %d %Y", "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%d. %B %Y", "%b-%d-%Y")


def dates_of(texts: Sequence[str]) -> list[str | None]:
    """The dates of a column, as ISO 8601; `None` for a text that is no date, or not surely one.

    `03/04/2020` is March or April: the column decides, if any of its dates can be read in one order only (`1/22/2020`).
    A year, or a year and a month, stay what they are: ISO 8601 too, and before every day in them.

    Example:
        >>> dates_of(["2020/1/22", "20200122.0", "22.01.2020", "January 22, 2020", "2020-01-22 10:00", "2020", "soon"])
        ['2020-01-22', '2020-01-22', '2020-01-22', '2020-01-22', '2020-01-22', '2020', None]
        >>> dates_of(["03/04/2020", "1/22/2020"]), dates_of(["03/04/2020"])
        (['2020-03-04', '2020-01-22'], [None])
    """
    plain = [_CLOCK.sub("", text) for text in texts]
    pairs = [(int(match[1]), int(match[2])) for text in plain if (match := _SLASHES.fullmatch(text))]
    day_first, month_first = any(a > 12 for a, _ in pairs), any(b > 12 for _, b in pairs)
    order = None if day_first == month_first else ("day" if day_first else "month")
    return [_date(text, order) for text in plain]


def _date(text: str, order: str | None) -> str | None:
    digits = text.removesuffix(".0")
    if re.fullmatch(r"\d{8}", digits):
        text = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    if _ISO_PART.fullmatch(digits):
        year, _, month = digits.partition("-")
        return digits if 1890 <= int(year) <= 2300 and 1 <= int(month or 1) <= 12 else None
    try:
        if match := _YEAR_FIRST.fullmatch(text):
            return date(*map(int, match.groups())).isoformat()
        if match := _DAY_FIRST.fullmatch(text):
            return date(int(match[3]), int(match[2]), int(match[1])).isoformat()
        if match := _SLASHES.fullmatch(text):
            if order is None:
                return None
            day, month = (match[1], match[2]) if order == "day" else (match[2], match[1])
            return date(int(match[3]), int(month), int(day)).isoformat()
    except ValueError:
        return None
    for form in _WRITTEN:
        try:
            return datetime.strptime(" ".join(text.split()), form).date().isoformat()
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return None

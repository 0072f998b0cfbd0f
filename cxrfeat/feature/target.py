"""What a head may learn to predict of images: their class, a finding, or a column of categories or numbers.

The only place that knows which questions a feature file can answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.described import TEXTS, DescribedImages
from cxrfeat.image.finding import ABSENT, PRESENT, UNCERTAIN
from cxrfeat.system.given import nearest

LABEL = "label"
"""The target that goes without saying: the class."""

FINDINGS = "findings"
"""In place of a target: every finding."""

Uncertain = Literal["ignore", "present", "absent"]
"""What an uncertain finding counts as."""

_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """What is to be predicted, of each image."""

    name: str
    classes: tuple[str, ...] = ()
    """What it may be, of categories; the second of a finding is that it is present. Empty for numbers."""
    values: NDArray[np.int64] | NDArray[np.float64]
    """`(images,)`: places in `classes`, -1 where it is not known; or numbers, NaN where it is not."""

    @property
    def numeric(self) -> bool:
        """Whether it is a number, and its prediction regression."""
        return not self.classes

    @property
    def known(self) -> NDArray[np.bool_]:
        """`(images,)` whether it is known."""
        return ~np.isnan(self.values) if self.numeric else self.values >= 0

    @property
    def labels(self) -> NDArray[np.int64]:
        """The places in `classes`.

        Raises:
            UsageError: If it is a number.
        """
        if self.numeric:
            raise UsageError(f"{self.name!r} is a number, and has no classes.")
        return self.values.astype(np.int64)


def target_names(file: DescribedImages) -> list[str]:
    """What can be predicted of the images of a file: what is known of some, with two values at least."""
    found = [LABEL] if len(set(file.labels.tolist())) >= _LEAST else []
    for name in TEXTS:
        codes, _ = file.codes(name)
        found += [name] if len(set(codes[codes >= 0].tolist())) >= _LEAST else []
    if len(set(file.content.columns["age"][~np.isnan(file.content.columns["age"])].tolist())) >= _LEAST:
        found.append("age")
    return [*found, *(name for name in (*file.finding_names, *file.kept_columns) if name not in found)]


def find_target(file: DescribedImages, name: str = LABEL, uncertain: Uncertain = "ignore") -> Target:
    """What is to be predicted, by its name, in any case.

    Args:
        file: Whose images.
        name: `label`; a finding; `sex`, `view_position`, `source`, `modality` or `laterality`; `age`; or a column that
            the file keeps. Of one name the first of these.
        uncertain: What an uncertain finding is taken for; `ignore` is not known.

    Raises:
        UsageError: If there is none of that name.
        InputError: If nothing is to be predicted, since all images of which it is known are the same.
    """
    findings, kept = file.finding_names, file.kept_columns
    known = (LABEL, *TEXTS, "age", *findings, *kept)
    exact = name if name in known else next((one for one in known if one.casefold() == name.casefold()), None)
    if exact is None:
        raise UsageError(
            f"There is no target {name!r} in these features.{nearest(name, known)} "
            f"There are {_listed(target_names(file))}."
        )
    if exact == LABEL:
        found = Target(name=LABEL, classes=file.classes, values=file.labels)
    elif exact in findings and exact not in TEXTS:
        states = file.content.columns["findings"][:, findings.index(exact)]
        taken = {PRESENT: 1, ABSENT: 0} | ({} if uncertain == "ignore" else {UNCERTAIN: int(uncertain == "present")})
        values = np.full(file.images, -1, np.int64)
        for state, label in taken.items():
            values[states == state] = label
        found = Target(name=exact, classes=(f"no {exact}", exact), values=values)
    elif exact == "age" or (exact in file.content.names["kept_numbers"] and exact not in TEXTS):
        found = Target(name=exact, values=file.numbers(exact))
    else:
        found = _of_texts(file, exact)
    _refuse_one(found, file)
    return found


def _of_texts(file: DescribedImages, name: str) -> Target:
    codes, texts = file.codes(name)
    there = sorted(set(codes[codes >= 0].tolist()), key=texts.__getitem__)
    place = np.full(len(texts) + 1, -1, np.int64)  # the last for what is not known
    place[there] = np.arange(len(there))
    return Target(name=name, classes=tuple(texts[code] for code in there) or ("",), values=place[codes])


def _refuse_one(target: Target, file: DescribedImages) -> None:
    values = target.values[target.known]
    if len(np.unique(values)) >= _LEAST:
        return
    others = [name for name in target_names(file) if name != target.name]
    there = f" The targets of these features are {_listed(others)}." if others else ""
    what = "is not known of a single image" if not len(values) else "is the same in all images of which it is known"
    if target.name == LABEL and len(values):
        what = f"is {file.classes[int(values[0])]!r} for every image, so there are no classes to separate"
    raise InputError(f"The target {target.name!r} {what}.{there}")


def _listed(names: list[str], most: int = 40) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown

"""What a phantom set consists of, and the chance that belongs to each thing in it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from cxrfeat.errors import SpecError

MOST_SOURCES = 3
"""As many hospitals as `exposure` knows devices of."""

Letters = Literal["random", "class", "none"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSpec:
    """What a phantom set consists of.

    Example:
        >>> PhantomSpec(patients_per_class=4).classes
        ('COVID', 'NORMAL', 'PNEUMONIA')
        >>> PhantomSpec(letters="always")
        Traceback (most recent call last):
        cxrfeat.errors.SpecError: PhantomSpec.letters is random, class or none; got 'always'.
    """

    REVISION: ClassVar[int] = 1  # raise when the same fields come to mean other pixels

    classes: tuple[str, ...] = ("COVID", "NORMAL", "PNEUMONIA")
    """Class names. COVID is soft patches low and outward in both lungs, PNEUMONIA one dense lobe, NORMAL neither;
    other names take these three in turn."""

    patients_per_class: int = 40
    """Patients of each class."""

    images_per_patient: int = 3
    """A patient has from one to this many images, drawn; one of unknown identity has one."""

    size: int = 256
    """Height in pixels at the first source; the others differ by up to an eighth."""

    sources: tuple[str, ...] = ("Hospital A", "Hospital B")
    """One to three hospitals. They differ mildly in contrast, noise, field, size and file format."""

    source_by_class: bool = False
    """Whether the class decides the source (first class, first source, and so on; the last source serves all classes
    that remain). Otherwise every class has every source equally."""

    letters: Letters = "random"
    """Marker in an upper corner: on half of the images whatever the class, on exactly those of the first `class`,
    or on `none`."""

    duplicates: int = 0
    """Byte-identical copies under another name, same label, patient unknown."""

    broken: int = 0
    """Truncated PNG files, besides the others."""

    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        for name, most in (("classes", 26), ("sources", MOST_SOURCES)):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not 1 <= len(values) <= most:
                raise SpecError(f"PhantomSpec.{name} is a tuple of 1 to {most} names; got {values!r}.")
            for value in values:
                if not isinstance(value, str) or not _NAME.fullmatch(value):
                    raise SpecError(
                        f"PhantomSpec.{name} holds names of letters, digits, spaces, - and _, "
                        f"64 at most, a letter or digit first; got {value!r}."
                    )
            if len({value.casefold() for value in values}) < len(values):  # they become folders
                raise SpecError(f"PhantomSpec.{name} holds a name twice, upper and lower case being one: {values!r}.")
        for name, meaning, least, most in (
            ("patients_per_class", "patients of each class", 1, 100_000),
            ("images_per_patient", "the most images of one patient", 1, 3),
            ("size", "pixels", 64, 2048),
            ("duplicates", "copies", 0, len(self.classes) * self.patients_per_class),
            ("broken", "truncated files", 0, 1000),
            ("seed", "a seed", 0, 2**63 - 1),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise SpecError(
                    f"PhantomSpec.{name} is {meaning}: a whole number from {least} to {most}; got {value!r}."
                )
        if self.letters not in get_args(Letters):
            raise SpecError(f"PhantomSpec.letters is random, class or none; got {self.letters!r}.")
        object.__setattr__(self, "source_by_class", bool(self.source_by_class))


def chance(spec: PhantomSpec, purpose: str, class_index: int, *numbers: int) -> np.random.Generator:
    """Chance of its own for each purpose and thing, so that one more draw here moves nothing there."""
    return np.random.default_rng(
        [spec.seed, zlib.crc32(purpose.encode()), zlib.crc32(spec.classes[class_index].encode()), *numbers]
    )

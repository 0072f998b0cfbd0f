"""What a feature file says of its images beside their features, in the words of those who use it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import MissingExtraError
from cxrfeat.feature.format import PARTS, Content
from cxrfeat.feature.split import ImageTable
from cxrfeat.image.finding import PRESENT
from cxrfeat.types import Groups, Labels, Part

if TYPE_CHECKING:
    import pandas

TEXTS = ("sex", "view_position", "source", "modality", "laterality")
"""Columns of every file that hold a category of each image, where it is known."""


class DescribedImages:
    """The images of a feature file, each a row."""

    content: Content

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return self.content.classes

    @property
    def images(self) -> int:
        """Number of images."""
        return self.content.images

    @property
    def labels(self) -> Labels:
        """`(images,)` indices into `classes`."""
        return self.content.columns["label"].astype(np.int64)

    @cached_property
    def groups(self) -> Groups:
        """`(images,)` indices; images of one patient, and copies, share one.

        Numbered by each group's smallest content hash, so that what is drawn by group (folds, intervals) depends on
        the images, and not on the salt that made the stored ids.
        """
        columns = self.content.columns
        _, names = np.unique(columns["group"], return_inverse=True)
        order = np.argsort(columns["content_sha256"], kind="stable")
        first = np.full(int(names.max(initial=-1)) + 1, len(order))
        np.minimum.at(first, names[order], np.arange(len(order)))
        groups = np.argsort(np.argsort(first))[names].astype(np.int64)
        groups.flags.writeable = False  # all callers share it
        return groups

    @property
    def known_patients(self) -> NDArray[np.bool_]:
        """`(images,)` whether the data named the patient."""
        return self.content.columns["known_patient"].astype(bool)

    @property
    def sources(self) -> list[str | None]:
        """`(images,)` where each image came from, where the data say so."""
        return self.texts("source")

    @cached_property
    def image_ids(self) -> list[str]:
        """`(images,)` salted names; only the manifest beside the file maps them to paths."""
        return [value.decode() for value in self.content.columns["image_id"].tolist()]

    @cached_property
    def content_sha256(self) -> list[str]:
        """`(images,)` SHA-256 of each image file's bytes."""
        return [value.decode() for value in self.content.columns["content_sha256"].tolist()]

    @property
    def dates(self) -> list[str | None]:
        """`(images,)` ISO dates, where the data have them."""
        return [value.decode() or None for value in self.content.columns["date"].tolist()]

    @property
    def given_split(self) -> list[Part | None]:
        """`(images,)` the part that the data's own split names, `None` where it names none."""
        return [None if code < 0 else PARTS[code] for code in self.content.columns["split"].tolist()]

    @property
    def has_pictures(self) -> bool:
        """Whether small pictures of the images are here; without them, nothing is known of pixels."""
        return bool(self.content.columns["portrait"].any())

    @property
    def finding_names(self) -> tuple[str, ...]:
        """Of the findings; none where the data name none."""
        return tuple(self.content.names["findings"])

    @property
    def findings(self) -> NDArray[np.int8]:
        """`(images, findings)`: 1 present, 0 absent, -1 uncertain, -2 not stated."""
        return self.content.columns["findings"].copy()

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Titles of the columns of the data's table that the file keeps."""
        return (*self.content.names["kept_texts"], *self.content.names["kept_numbers"])

    @cached_property
    def table(self) -> ImageTable:
        """What the images can be parted by: their classes, or of one class alone the finding that most of them have.

        One split serves all targets, so it is stratified by the commonest of them. That is the class, where there are
        several: it is known of every image, and of a list of findings it says whether there is any.
        """
        labels, classes = self.labels, self.classes
        if len(classes) == 1 and self.finding_names:
            present = self.content.columns["findings"] == PRESENT
            often = int(present.sum(axis=0).argmax())
            labels, classes = present[:, often].astype(np.int64), ("others", self.finding_names[often])
        return ImageTable(
            contents=self.content_sha256,
            labels=labels,
            groups=self.groups,
            classes=classes,
            given=self.given_split,
            dates=self.dates,
            sources=self.sources,
        )

    def texts(self, column: str) -> list[str | None]:
        """A column of categories as texts.

        Args:
            column: One of the format's, such as `sex`, or one that the file keeps.

        Raises:
            KeyError: If there is none of that name.
        """
        codes, values = self.codes(column)
        return [None if code < 0 else values[code] for code in codes.tolist()]

    def codes(self, column: str) -> tuple[NDArray[np.int64], list[str]]:
        """A column of categories as `(images,)` numbers of a list of texts, -1 where it is not known.

        Raises:
            KeyError: If there is none of that name.
        """
        kept = self.content.names["kept_texts"]
        if column in kept and column not in self.content.values:
            codes = self.content.columns["kept_texts"][:, kept.index(column)]
            return codes.astype(np.int64), self.content.values["kept_texts"]
        return self.content.columns[column].astype(np.int64), self.content.values[column]

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A column of numbers, `(images,)`, NaN where it is not known.

        Args:
            column: `age`, or one that the file keeps.

        Raises:
            KeyError: If there is none of that name.
        """
        kept = self.content.names["kept_numbers"]
        if column == "age" or column not in kept:
            return self.content.columns[column].astype(np.float64)
        found: NDArray[np.float64] = self.content.columns["kept_numbers"][:, kept.index(column)].copy()
        return found

    def to_frame(self) -> pandas.DataFrame:
        """Everything but the features and the small pictures, a row for each image.

        What is not known is missing; findings are 1, 0, -1 uncertain, and missing where they are not stated.

        Returns:
            Columns `image_id`, `label`, `group`, `known_patient`, `split`, `date`, `age`, the categories of every file
            (`sex`, `source`, ...), the findings, and the columns that the file keeps, each under its name; a name that
            stood before is written with what it is before it (`finding sex`).

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError(
                "A frame takes pandas, which is not installed: pip install 'cxrfeat[tables]'."
            ) from error

        found: dict[str, Any] = {
            "image_id": self.image_ids,
            "label": [self.classes[label] for label in self.labels.tolist()],
            "group": [value.decode() for value in self.content.columns["group"].tolist()],
            "known_patient": self.known_patients,
            "split": [None if part is None else str(part) for part in self.given_split],
            "date": self.dates,
            "age": self.numbers("age"),
        } | {name: self.texts(name) for name in TEXTS}
        stated = self.findings
        for at, name in enumerate(self.finding_names):
            values = pandas.array(stated[:, at].tolist(), dtype="Int8")
            values[stated[:, at] == -2] = pandas.NA
            found[f"finding {name}" if name in found else name] = values
        for name in self.kept_columns:
            kept: Any = self.texts(name) if name in self.content.names["kept_texts"] else self.numbers(name)
            found[f"kept {name}" if name in found else name] = kept
        return pandas.DataFrame(found)


def number_groups(names: Sequence[Hashable], keys: Sequence[Any]) -> Groups:
    """Groups as numbers in the order of each one's smallest key.

    Example:
        >>> number_groups(["x", "y", "x"], ["c", "b", "a"])
        array([0, 1, 0])
    """
    numbers: dict[Hashable, int] = {}
    for _, name in sorted(zip(keys, names, strict=True), key=lambda pair: pair[0]):
        numbers.setdefault(name, len(numbers))
    return np.array([numbers[name] for name in names], dtype=np.int64)

"""The ledger of a data set: what was seen in a folder and not used, or used in another way than it is written.

Nothing is dropped in silence. Whoever reads a folder tells its notes through the logger of this module, at once and
before anything is computed; the command line shows them, and a Python program sees them as it has set up `logging`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from cxrfeat.errors import AuditError

LOGGER = logging.getLogger("cxrfeat.data")


class Weight(IntEnum):
    """How much a note matters."""

    MINOR = 0
    """Nothing was lost: files that are no images, say."""
    NOTABLE = 1
    """It may surprise: a column that is not used, a value taken for unknown."""
    LOSS = 2
    """Images, parts of a split or patients are lost to everything that follows; what `strict` refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line of the ledger."""

    text: str
    """A sentence or two; an example stands in it as `such as 'a'`, a place as `that of 'b'` or `once in 'b'`, so that
    they can be left out."""
    weight: Weight = Weight.NOTABLE


def without_examples(text: str) -> str:
    """A note without its examples and places, which name files and people.

    Example:
        >>> without_examples("2 images are not listed, such as 'a.png', 'b, c.png', and were left aside.")
        '2 images are not listed and were left aside.'
    """
    return re.sub(r",? (?:such as|that of|once in) (['\"]).*?\1(, (['\"]).*?\3)*,?", "", text)


def tell(notes: Iterable[Note]) -> None:
    """Log the notes that could matter, as warnings, the others as information."""
    for note in notes:
        LOGGER.log(logging.INFO if note.weight is Weight.MINOR else logging.WARNING, "%s", note.text)


def refuse_losses(notes: Sequence[Note]) -> None:
    """What `strict` makes of lost images, dropped parts and unused patients.

    Raises:
        AuditError: Naming every loss, if there is one.
    """
    losses = [without_examples(note.text) for note in notes if note.weight is Weight.LOSS]
    if losses:
        raise AuditError("Reading the data loses something, which `strict` refuses: " + " ".join(losses))


def texts(notes: Iterable[Note]) -> list[str]:
    """The sentences alone, for JSON."""
    return [note.text for note in notes]


def examples(values: Sequence[str], most: int = 1) -> str:
    """The beginning of a list of things, as part of a sentence: `, such as 'a'`; nothing for an empty one."""
    return f", such as {', '.join(map(repr, values[:most]))}" if values else ""


def number(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    Example:
        >>> number(1, "image"), number(2, "image"), number(2, "class", "classes")
        ('1 image', '2 images', '2 classes')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def unknown_note(title: str, taken: Iterable[str]) -> list[Note]:
    """What is said of the texts of a column that stand for *unknown*; nothing where there are none.

    Args:
        title: Title of the column.
        taken: The texts, each as often as it stands there.
    """
    counts = Counter(taken)
    if not counts:
        return []
    told = ", ".join(f"{text!r} ({count})" for text, count in counts.most_common(8))
    return [Note(text=f"Taken for unknown in the column {title}: {told}{' and others' if len(counts) > 8 else ''}.")]

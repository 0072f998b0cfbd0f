"""Findings in a table of the user's own: columns of one finding each, or a list of those that are present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cxrfeat.errors import InputError
from cxrfeat.image.finding import ABSENT, NOT_STATED, PRESENT, UNCERTAIN, class_of, state_of
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.published.archive import CHEXPERT_FINDINGS
from cxrfeat.image.table_column import plain
from cxrfeat.image.table_line import Sheet
from cxrfeat.image.value import unknown
from cxrfeat.system.given import nearest

_BAR = "|"
_NONE = frozenset(("nofinding", "nofindings", "normal", "none", "healthy", "noabnormality"))
"""What stands for there being none, signs and case left out."""

_CHEXPERT = frozenset(map(plain, (*CHEXPERT_FINDINGS, "No Finding")))
_ENOUGH = 3
"""Columns with names of CheXpert's that are no accident."""


@dataclass(slots=True, kw_only=True)
class Stated:
    """What a table says of findings."""

    names: tuple[str, ...] = ()
    values: list[tuple[int, ...]] = field(default_factory=list)
    """Of each line."""
    columns: tuple[str, ...] = ()
    """Titles of columns of a finding each, that of there being none among them."""
    labels: list[str] | None = None
    """The class of each line that follows from its findings, empty where none does; `None` where none ever does."""
    notes: list[Note] = field(default_factory=list)


def finding_columns(sheet: Sheet, wanted: Sequence[str]) -> dict[str, int]:
    """Columns that hold a finding each, with their places: those that are wanted; else those named as CheXpert's.

    Args:
        sheet: The table.
        wanted: Titles; what is none may be a finding of a list.
    """
    if sheet.index is not None:
        return {}
    titles = [title.strip() for title in sheet.header]
    if wanted:
        found = {}
        for name in wanted:
            same = [at for at, title in enumerate(titles) if title == name]
            same = same or [at for at, title in enumerate(titles) if plain(title) == plain(name)]
            if same:
                found[titles[same[0]]] = same[0]
        return found
    found = {title: at for at, title in enumerate(titles) if plain(title) in _CHEXPERT and _states(sheet, at)}
    return found if len(found) >= _ENOUGH else {}


def _states(sheet: Sheet, at: int) -> bool:
    """Whether a column holds nothing but what may be said of a finding."""
    texts = {row[at].strip() for _, row in sheet.lines if at < len(row)}
    return all(state_of(text) is not None or unknown(text) for text in texts)


def stated(
    sheet: Sheet, columns: Mapping[str, int], wanted: Sequence[str], labels: Sequence[str | None] | None
) -> Stated:
    """What is said of each finding in each line.

    Args:
        sheet: The table.
        columns: From `finding_columns`.
        wanted: The findings that the user names; none is all.
        labels: The cells of the label, where there is such a column.

    Raises:
        InputError: If a finding is named that is neither a column nor in a list.
    """
    listed = [name for name in wanted if plain(name) not in {plain(title) for title in columns}]
    if labels is not None and not columns and any(text is not None and _BAR in text for text in labels):
        return _of_list(sheet, labels, listed)
    if listed:
        titles = [title.strip() for title in sheet.header if title.strip()]
        raise InputError(
            f"`findings` names {listed[0]!r}, and {sheet.name} has no such column.{nearest(listed[0], titles)} "
            f"Its columns are {', '.join(titles)}."
        )
    return _of_columns(sheet, columns, wanted) if columns else Stated()


def _of_list(sheet: Sheet, labels: Sequence[str | None], wanted: Sequence[str]) -> Stated:
    cells = [None if text is None else {part.strip() for part in text.split(_BAR)} - {""} for text in labels]
    words = sorted({word for cell in cells if cell is not None for word in cell})
    none = [word for word in words if plain(word) in _NONE]
    names = [word for word in words if word not in none]
    for name in wanted:
        if name not in words:
            raise InputError(
                f"`findings` names {name!r}, which {sheet.name} lists for no image.{nearest(name, words)} "
                f"It lists {', '.join(words)}."
            )
    follow = None
    if none:
        follow = [
            "" if cell is None else class_of(ABSENT if cell - set(none) else PRESENT, [PRESENT], none[0])
            for cell in cells
        ]
    names = [name for name in names if not wanted or name in wanted]
    values = [
        (NOT_STATED,) * len(names) if cell is None else tuple(PRESENT if name in cell else ABSENT for name in names)
        for cell in cells
    ]
    read = f"The labels are lists of findings with bars between them{examples(names)}"
    is_class = f"; the class is {none[0]!r} or 'Finding'." if none else ", and each combination is a class of its own."
    return Stated(
        names=tuple(names), values=values, labels=follow, notes=[Note(text=read + is_class, weight=Weight.MINOR)]
    )


def _of_columns(sheet: Sheet, columns: Mapping[str, int], wanted: Sequence[str]) -> Stated:
    notes: list[Note] = []
    states = {title: _column(sheet, title, at, notes) for title, at in columns.items()}
    none = next((title for title in columns if plain(title) in _NONE), None)
    asked = {plain(name) for name in wanted}
    names = [title for title in columns if title != none or plain(title) in asked]
    others = [title for title in columns if title != none]
    follow = None
    if none is not None:
        follow = [
            class_of(states[none][at], [states[title][at] for title in others], none) for at in range(len(sheet.lines))
        ]
    values = [tuple(states[title][at] for title in names) for at in range(len(sheet.lines))]
    if not wanted:
        text = f"Read as findings, since they are named as those of CheXpert: {', '.join(columns)}."
        notes.append(Note(text=text, weight=Weight.MINOR))
    return Stated(names=tuple(names), values=values, columns=tuple(columns), labels=follow, notes=notes)


def _column(sheet: Sheet, title: str, at: int, notes: list[Note]) -> list[int]:
    cells = [row[at].strip() if at < len(row) else "" for _, row in sheet.lines]
    states = [state_of(text) for text in cells]
    odd = sorted({text for text, state in zip(cells, states, strict=True) if state is None and not unknown(text)})
    if odd:
        count = sum(text in odd for text in cells)
        notes.append(
            Note(text=f"Taken for not stated in the column {title}: {number(count, 'cell')} that say neither present "
                 f"(1), absent (0) nor uncertain (-1){examples(odd)}.")
        )  # fmt: skip
    return [NOT_STATED if state is None else state for state in states]


def one_finding(state: int, name: str) -> tuple[str, str]:
    """The class of an image where one finding is told from its absence, or why it is left out.

    Example:
        >>> one_finding(ABSENT, "Mass"), one_finding(UNCERTAIN, "Mass")
        (('no Mass', ''), ('', 'Mass uncertain'))
    """
    label = {PRESENT: name, ABSENT: f"no {name}"}.get(state, "")
    return label, {UNCERTAIN: f"{name} uncertain", NOT_STATED: f"{name} not stated"}.get(state, "")

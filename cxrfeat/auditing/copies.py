"""What copies do to a data set: labels that disagree, splits that divide them, and which of them to leave out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrfeat.image.duplicate import Pair
from cxrfeat.image.row import ImageRow
from cxrfeat.run.table import to_csv
from cxrfeat.system.files import write_atomic
from cxrfeat.types import Finding, Part, Status

KINDS = {"bytes": "same bytes", "pixels": "same pixels", "near": "near"}
"""What a pair is called, by `Pair.kind`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Two images of a data set that are one picture."""

    one: ImageRow
    other: ImageRow
    pair: Pair
    leave_out: str
    """Path of the image that may go, so that of every set of copies one is left; empty where labels differ, since
    nobody can tell from here which is right."""

    @property
    def same_patient(self) -> bool | None:
        """Whether both are of one named patient; `None` where a name is missing."""
        if self.one.patient is None or self.other.patient is None:
            return None
        return self.one.patient == self.other.patient

    @property
    def across(self) -> bool:
        """Whether the data's own split has them in two parts."""
        return self.one.split is not None and self.other.split is not None and self.one.split != self.other.split

    @property
    def torn(self) -> bool:
        """Whether their labels differ."""
        return self.one.label != self.other.label

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON and for a row of CSV."""
        return {
            "image": self.one.path,
            "copy": self.other.path,
            "kind": KINDS[self.pair.kind],
            "distance": round(1 - self.pair.similarity, 4),
            "change": self.pair.change,
            "same_patient": {True: "yes", False: "no", None: "unknown"}[self.same_patient],
            "part_image": str(self.one.split or ""),
            "part_copy": str(self.other.split or ""),
            "across_parts": "yes" if self.across else "no",
            "label_image": self.one.label,
            "label_copy": self.other.label,
            "leave_out": self.leave_out,
        }


COLUMNS = (
    "image", "copy", "kind", "distance", "change", "same_patient", "part_image", "part_copy", "across_parts",
    "label_image", "label_copy", "leave_out",
)  # fmt: skip
"""Of `Copy.to_dict`, and so of the file of `write_copies`."""


def write_copies(place: Path, copies: Sequence[Mapping[str, Any]]) -> None:
    """Write every pair of copies as a row of CSV, readable by its owner only, since it holds paths.

    Args:
        place: The file.
        copies: As in the document of `audit`.

    Raises:
        StorageError: If it cannot be written.
    """
    text = to_csv({name: [one[name] for one in copies] for name in COLUMNS})
    # surrogatepass: file names that are not UTF-8 must come back as they were.
    write_atomic(place, text.encode("utf-8", "surrogatepass"), private=True)


def told_copies(pairs: Sequence[Pair], rows: Sequence[ImageRow]) -> tuple[Copy, ...]:
    """The pairs with what is known of both images, and which of each set of copies to leave out.

    Of a set (pairs taken transitively) one image stays: one of the test part before validation, training and none, so
    that what tests stays what it was; of these one whose patient is known; then the one with the most pixels, then
    bytes; then the first by path.

    Args:
        pairs: As `image.duplicate.find_duplicates` gives them.
        rows: The images.

    Returns:
        Those of two labels first, then those in two parts of the data's own split, then the others, as they come.
    """
    near: dict[int, list[tuple[int, Pair]]] = {}
    for pair in pairs:
        near.setdefault(pair.one, []).append((pair.other, pair))
        near.setdefault(pair.other, []).append((pair.one, pair))
    leave: dict[tuple[int, int], int] = {}
    for members in _sets(near):
        if len({rows[index].label for index in members}) > 1:
            continue
        kept = min(members, key=lambda index: _worth(rows[index]))
        reached, front = {kept}, [kept]
        for index in front:  # away from the one that stays: every other is named by the pair that leads to it
            for further, pair in near[index]:
                if further not in reached:
                    reached.add(further)
                    front.append(further)
                    leave[pair.one, pair.other] = further
        for index in members:
            for further, pair in near[index]:  # a pair aside: one of the two goes already
                leave.setdefault((pair.one, pair.other), further if further != kept else index)
    told = [
        Copy(
            one=rows[pair.one],
            other=rows[pair.other],
            pair=pair,
            leave_out=rows[leave[pair.one, pair.other]].path if (pair.one, pair.other) in leave else "",
        )
        for pair in pairs
    ]
    return tuple(sorted(told, key=lambda one: (not one.torn, not one.across)))


def _sets(near: dict[int, list[tuple[int, Pair]]]) -> Iterator[list[int]]:
    seen: set[int] = set()
    for start in near:
        if start in seen:
            continue
        seen.add(start)
        members = [start]
        for index in members:
            for further, _ in near[index]:
                if further not in seen:
                    seen.add(further)
                    members.append(further)
        yield members


def _worth(row: ImageRow) -> tuple[int, bool, int, int, str]:
    order = [Part.TEST, Part.VALIDATION, Part.TRAIN, None]
    return (
        order.index(row.split),
        row.patient is None,
        -row.header.width * row.header.height,
        -row.header.file_bytes,
        row.path,
    )


def check_copies(copies: Sequence[Copy], *, split: bool) -> list[Finding]:
    """What pairs of copies mean: for the labels, for the data's own split, and for how many images there are.

    Args:
        copies: As `told_copies` gives them; copies of one named patient are among them, and counted apart.
        split: Whether the data have a split of their own.

    Returns:
        Findings `copies` (there are any; they fail where labels differ) and, where the data are split, `copies across
        the split`.
    """
    conflicts = [one for one in copies if one.torn]
    found = []
    if conflicts:
        found.append(
            Finding(
                check="copies",
                status=Status.FAIL,
                value=len(conflicts),
                why=f"{_found(len(copies))}, {len(conflicts)} of different labels{_of_one_patient(conflicts)}.",
                do="Decide on one label for each and delete the other file.",
                images=_named(conflicts),
            )
        )
    elif copies:
        exact = sum(one.pair.kind != "near" for one in copies)
        found.append(
            Finding(
                check="copies",
                status=Status.WARN,
                value=len(copies),
                why=f"{_found(len(copies))} ({exact} exact, {len(copies) - exact} changed)"
                f"{_of_one_patient(copies)}; they stay on one side of every split that cxrfeat makes, but count twice.",
                do="List them (cxrfeat audit `copies=FILE.csv`), look at them, and delete the copies.",
                images=_named(copies),
            )
        )
    else:
        found.append(Finding(check="copies", status=Status.PASS, value=0, why="No image is a copy of another."))
    if split:
        across = [one for one in copies if one.across]
        found.append(
            Finding(
                check="copies across the split",
                status=Status.FAIL if across else Status.PASS,
                value=len(across),
                why=f"The data's own split has {_pairs(len(across))} of copies in two parts{_of_one_patient(across)}.",
                do=_MEND if across else "",
                images=_named(across),
            )
        )
    return found


_MEND = (
    "Correct it with cxrfeat fit-head `regroup_given=True`, or split all images again with cxrfeat fit-head "
    "`split_by=group`."
)


def _of_one_patient(copies: Sequence[Copy]) -> str:
    count = sum(one.same_patient is True for one in copies)
    return f", {count} of one patient" if count else ""


def _pairs(count: int) -> str:
    return f"{count} pair" if count == 1 else f"{count} pairs"


def _named(copies: Sequence[Copy]) -> tuple[str, ...]:
    return tuple(row.path for one in copies for row in (one.one, one.other))


def _found(count: int) -> str:
    return "1 pair of copies was found" if count == 1 else f"{count} pairs of copies were found"

"""What copies do to a data set: labels that disagree, and splits that part them."""

from __future__ import annotations

from collections.abc import Sequence

from cxrfeat.image.duplicate import Pair
from cxrfeat.types import Finding, Labels, Part, Status


def told_pairs(pairs: Sequence[Pair], patients: Sequence[str | None]) -> tuple[Pair, ...]:
    """The pairs worth telling: pictures of one named patient resemble each other without being copies.

    Args:
        pairs: As `image.duplicate.find_duplicates` gives them.
        patients: `(images,)` names, `None` where unknown.
    """
    return tuple(
        pair
        for pair in pairs
        if pair.kind != "near" or patients[pair.one] is None or patients[pair.one] != patients[pair.other]
    )


def check_copies(
    pairs: Sequence[Pair], labels: Labels, parts: Sequence[Part | None], images: Sequence[str]
) -> list[Finding]:
    """What pairs of copies mean: for the labels, for the data's own split, and for how many images there are.

    Args:
        pairs: Those of `told_pairs`.
        labels: `(images,)` class indices.
        parts: `(images,)` the data's own split, `None` where an image has none.
        images: `(images,)` paths.

    Returns:
        Findings `copies` (there are any; they fail where labels differ) and, where the data are split, `copies across
        the split`.
    """
    told = [(pair.one, pair.other) for pair in pairs]
    conflicts = [(a, b) for a, b in told if labels[a] != labels[b]]
    found = []
    if conflicts:
        found.append(
            Finding(
                check="copies",
                status=Status.FAIL,
                value=len(conflicts),
                why=f"{len(conflicts)} of {len(told)} pairs of copies have different labels.",
                do="Decide on one label for each and delete the other file.",
                images=_named(conflicts, images),
            )
        )
    elif told:
        exact = sum(pair.kind != "near" for pair in pairs)
        found.append(
            Finding(
                check="copies",
                status=Status.WARN,
                value=len(told),
                why=f"{len(told)} pairs of images are copies ({exact} exactly, {len(told) - exact} changed); they "
                "stay on one side of every split, but count twice.",
                do="Look at them, and delete the copies.",
                images=_named(told, images),
            )
        )
    else:
        found.append(Finding(check="copies", status=Status.PASS, value=0, why="No image is a copy of another."))
    if any(part is not None for part in parts):
        across = [(a, b) for a, b in told if parts[a] != parts[b]]
        status = Status.FAIL if across else Status.PASS
        found.append(
            Finding(
                check="copies across the split",
                status=status,
                value=len(across),
                why=f"The data's own split has {len(across)} pairs of copies on two sides.",
                do="Mend it with --regroup, or split by group: --split-by group." if across else "",
                images=_named(across, images),
            )
        )
    return found


def _named(pairs: Sequence[tuple[int, int]], images: Sequence[str]) -> tuple[str, ...]:
    return tuple(images[index] for pair in pairs for index in pair)

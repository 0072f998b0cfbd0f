"""Which images of another data set a run is judged on, as which of its classes, and what it says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.seen import SeenImage
from cxrfeat.head.fitted import FittedHead
from cxrfeat.image.deal import renumbered
from cxrfeat.run.folder import Run
from cxrfeat.system.given import nearest
from cxrfeat.types import Groups, Labels, Probabilities


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outside:
    """The images of another data set that a run is judged on."""

    classes: tuple[str, ...]
    """Those that are in both, in the order of the run's."""
    rows: NDArray[np.intp]
    """In the file of the other set."""
    y: Labels
    """Counts into `classes`."""
    probabilities: Probabilities
    groups: Groups


def shared_classes(
    run: Run, dataset: str, classes: Sequence[str], labels: Labels, renamed: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str], list[str]]:
    """What the classes of another set are to a run.

    Args:
        run: The run.
        dataset: What the other set is called.
        classes: Its class names.
        labels: `(images,)` counts into them.
        renamed: By the name of a class elsewhere, the run's; names that this set lacks are other sets'.

    Returns:
        Classes of the run that both have; of each class elsewhere its name to the run; and hints at names that differ
        in their spelling only.

    Raises:
        UsageError: If `renamed` names no class of the run.
        InputError: If fewer than two classes are in both.
    """
    known = run.document.classes
    for theirs, ours in renamed.items():
        if ours not in known:
            raise UsageError(
                f"`renamed` makes {theirs!r} {ours!r}, which is not a class of {run.name}.{nearest(ours, known)} "
                f"Its classes are {', '.join(known)}."
            )
    names = [renamed.get(name, name) for name in classes]
    there = {names[label] for label in np.unique(labels).tolist()}
    shared = tuple(name for name in known if name in there)
    alike = [
        (name, close[0])
        for name in sorted(there - set(known))
        if (close := [one for one in known if _plain(one) == _plain(name) and one not in there])
    ]
    hints = [
        f"{theirs} of {dataset} may be {ours} of the run: join them with `renamed` ({theirs}={ours})."
        for theirs, ours in alike
    ]
    if len(shared) < 2:
        theirs, ours = alike[0] if alike else (next((one for one in names if one not in shared), names[0]), known[0])
        raise InputError(
            f"{run.name} knows {', '.join(known)}, and {dataset} holds {', '.join(sorted(there))}: scores take "
            f"two classes that are in both. Join names with `renamed`, as in {theirs}={ours}."
        )
    return shared, names, hints


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def images_judged(
    run: Run,
    head: FittedHead,
    other: FeatureFile,
    shared: tuple[str, ...],
    names: Sequence[str],
    seen: Sequence[SeenImage],
) -> tuple[Outside, dict[str, int], dict[str, int]]:
    """What is judged, how many images of each class these are, and how many of each class that the run has not."""
    number = {name: index for index, name in enumerate(shared)}
    of_class = np.array([number.get(name, -1) for name in names])[other.labels]
    left = np.ones(other.images, bool)
    left[[one.row for one in seen]] = False
    rows = np.flatnonzero((of_class >= 0) & left)
    y = of_class[rows].astype(np.int64)
    counts = {name: int(np.count_nonzero(y == index)) for name, index in number.items()}
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise InputError(
            f"No image of {', '.join(empty)} in {other.content.dataset} is left: {run.name} has seen all of them, or "
            "their patients. Validate on other images; if only the patients' numbers are alike, say so with "
            "`other_patients`."
        )
    unknown = {names[label] for label in np.unique(other.labels[of_class < 0]).tolist()}
    additional = {
        name: int(sum(names[label] == name for label in other.labels[of_class < 0].tolist()))
        for name in sorted(unknown)
    }
    said = np.empty((len(rows), len(head.classes)))
    place = np.full(other.images, -1)
    place[rows] = np.arange(len(rows))
    for part, stored in other.checked_blocks():
        here = place[part]
        kept = here >= 0
        views = stored[kept] if run.document.tta else stored[kept, :1]
        if len(views):
            flat = head.predict_proba(views.reshape(-1, views.shape[2]).astype(np.float32))
            said[here[kept]] = flat.reshape(len(views), views.shape[1], -1).mean(axis=1)
    return (
        Outside(
            classes=shared,
            rows=rows,
            y=y,
            probabilities=among(said, head.classes, shared),
            groups=renumbered(other.groups[rows]),
        ),
        counts,
        additional,
    )


def among(probabilities: Probabilities, classes: Sequence[str], shared: Sequence[str]) -> Probabilities:
    """Probabilities among some of the classes, each row summing to 1 again, `(n, shared)`."""
    if tuple(classes) == tuple(shared):
        return probabilities
    some = probabilities[:, [list(classes).index(name) for name in shared]] + 1e-12
    among: Probabilities = some / some.sum(axis=1, keepdims=True)
    return among

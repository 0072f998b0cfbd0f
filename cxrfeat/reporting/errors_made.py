"""Test images that a run took for another class, each with the training images nearest to it, as a page shows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.near import Neighbourhood
from cxrfeat.reporting.content import Mistake, Near
from cxrfeat.reporting.naming import parts_of
from cxrfeat.reporting.tiles import TileSheet
from cxrfeat.run.folder import Run
from cxrfeat.types import Part

SHOWN, NEIGHBOURS = 12, 3
"""Errors that a page shows, the surest first, and training images next to each."""

SEARCHED = 20_000
"""Images among which neighbours are looked for while somebody waits."""


def mistakes_in(file: FeatureFile, run: Run, sheet: TileSheet, names: Sequence[str]) -> tuple[Mistake, ...]:
    """The surest errors of a run.

    Args:
        file: On which it was fitted.
        run: Where images take turns in testing, those of the other folds count as its training images.
        sheet: Numbers the small pictures.
        names: What each image of the file is called.

    Returns:
        None where there are too many images to search.
    """
    if file.images > SEARCHED:
        return ()
    said, tested = run.predictions(), run.predictions().tested
    rows = [row for row in tested if said.predicted[row] != said.labels[row]]
    rows.sort(key=lambda row: -said.probabilities[row].max())
    place = {content: at for at, content in enumerate(file.content_sha256)}
    if run.document.folds is None:
        parts = parts_of(run)
        train = np.array([parts.get(content) == Part.TRAIN for content in file.content_sha256])
    else:
        fold = {said.contents[row]: said.parts[row] for row in tested}
        folds = np.array([fold.get(content, "") for content in file.content_sha256])
    near, texts, found = Neighbourhood(file), file.sources, dict[str, Mistake]()
    for row in rows:
        content = said.contents[row]
        if content in found or content not in place:
            continue
        at = place[content]
        among = train if run.document.folds is None else folds != said.parts[row]
        neighbours = near.nearest(near.image(at), NEIGHBOURS, but=at, among=among)
        found[content] = Mistake(
            tile=sheet.number_of(at),
            name=names[at],
            label=said.classes[said.labels[row]],
            predicted=said.classes[said.predicted[row]],
            probability=float(said.probabilities[row].max()),
            nearest=tuple(
                Near(
                    tile=sheet.number_of(one.row),
                    name=names[one.row],
                    label=file.classes[file.labels[one.row]],
                    source=texts[one.row],
                    similarity=one.similarity,
                    copy=one.copy,
                )
                for one in neighbours
            ),
        )
        if len(found) == SHOWN:
            break
    return tuple(found.values())

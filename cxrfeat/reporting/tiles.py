"""The small pictures of a page's images, all in one picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting.content import (
    Tiles,
)
from cxrfeat.reporting.picture import contact_sheet, jpeg_address


class TileSheet:
    """Numbers the small pictures as they are needed, each image once."""

    def __init__(self, file: FeatureFile) -> None:
        """Of the images of a feature file, which keeps a small picture of each, unless it came without."""
        self._pictured = file.has_pictures
        self._portraits = file.content.columns["portrait"]
        self._keys = file.content_sha256
        self._row = {key: row for row, key in reversed([*enumerate(self._keys)])}
        self._number: dict[str, int] = {}

    def number(self, key: str) -> int:
        """The place of an image's picture, by content."""
        return self._number.setdefault(key, len(self._number))

    def number_of(self, row: int) -> int:
        """The same by its row in the file."""
        return self.number(self._keys[row])

    def tiles(self) -> Tiles | None:
        """All pictures that were asked for, as far as there are any."""
        if not (self._number and self._pictured):
            return None
        wanted: NDArray[np.uint8] = self._portraits[[self._row[key] for key in self._number]]
        columns = math.ceil(math.sqrt(len(wanted)))
        side, count = wanted.shape[1], len(wanted)
        return Tiles(address=jpeg_address(contact_sheet(wanted, columns)), side=side, columns=columns, count=count)

"""Where the file of a content hash lies, for every image of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from cxrfeat.feature.keys import Keys, column
from cxrfeat.image.row import Manifest


class Paths(Mapping[str, Path]):
    """A file for each content hash: of several, the one that comes last. Paths are made as they are asked for."""

    def __init__(self, manifest: Manifest) -> None:
        """Take the images of a data set."""
        self._manifest = manifest
        order = np.argsort(manifest.contents, kind="stable")
        hashes = manifest.contents[order]
        last = np.append(hashes[1:] != hashes[:-1], True)[: len(hashes)]
        self.contents = Keys(hashes[last])
        """All content hashes."""
        self._rows = order[last]

    def __getitem__(self, content_sha256: str) -> Path:
        """The file."""
        place = int(self.contents.places(column([content_sha256]))[0])
        if place < 0:
            raise KeyError(content_sha256)
        return self._manifest.root / self._manifest.rows[int(self._rows[place])].path

    def __iter__(self) -> Iterator[str]:
        """The content hashes, in their order."""
        return iter(self.contents)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.contents)

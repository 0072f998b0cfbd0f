from __future__ import annotations

from pathlib import Path

import numpy as np

from cxrfeat.feature.file import FeatureFile
from tests.reporting.reports import made


def test_the_small_pictures_are_those_of_the_file(folder: Path) -> None:
    import io
    from base64 import b64decode

    from PIL import Image

    (data,) = made(folder).content.data
    assert data.tiles is not None
    sheet = np.asarray(Image.open(io.BytesIO(b64decode(data.tiles.address.split(",")[1]))), dtype=np.float64)
    with FeatureFile(folder / "features" / "f.h5") as file:
        portraits = file.content.columns["portrait"].astype(np.float64)
    for row in (0, 41, 79):
        down, across = divmod(data.maps[0].tiles[row], data.tiles.columns)
        tile = sheet[down * 40 : down * 40 + 40, across * 40 : across * 40 + 40]
        assert np.corrcoef(tile.ravel(), portraits[row].ravel())[0, 1] > 0.9

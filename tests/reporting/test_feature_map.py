from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.reporting import feature_map
from cxrfeat.workflow import report as recipe
from tests.reporting.reports import made


@pytest.mark.slow
def test_a_map_shows_so_many_images_and_says_of_how_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_map, "POINTS", 30)
    found = made(folder)
    assert len(found.content.data[0].maps[0].words) == 30
    assert "30 of 80 images, drawn by chance" in found.path.read_text()
    again = made(folder)
    assert again.content.data[0].maps[0].words == found.content.data[0].maps[0].words


@pytest.mark.slow
def test_a_map_may_keep_neighbours_in_place_of_distances(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(folder)
    found = made(folder, projection="tsne")
    (shown,) = found.content.data[0].maps
    assert shown.places.shape == (80, 2)
    assert not np.allclose(shown.places, plain.content.data[0].maps[0].places)
    assert "by t-SNE: neighbours are kept" in found.path.read_text()
    assert "projection='tsne'" in found.content.command
    assert "projection" not in plain.content.command
    monkeypatch.setattr(recipe, "side_by_side", lambda *_: pytest.fail("it was worked for"))
    monkeypatch.setattr(feature_map, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cxrfeat\[umap\]'"):
        made(folder, projection="umap")
    with pytest.raises(UsageError, match="`projection` lays features out by pca, tsne, umap; got 'mds'"):
        made(folder, projection="mds")

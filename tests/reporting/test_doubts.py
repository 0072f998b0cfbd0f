"""Doubtful labels on a page: those that are planted, the most doubtful first, and none where nobody can say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting import doubts
from cxrfeat.reporting.doubts import doubts_in
from cxrfeat.reporting.tiles import TileSheet
from tests.workflow.helpers import PARTS, make_features


def planted(path: Path, **fields: Any) -> Path:
    """Two blobs of 40, of which images 3 and 50 lie in the other's."""
    rng = np.random.default_rng(0)
    side = np.repeat([-1.0, 1.0], 40)
    side[[3, 50]] *= -1
    rows = (rng.normal(size=(80, 1, 6)) + 3 * side[:, None, None]).astype(np.float32)
    return make_features(path, groups=40, per_group=1, views=1, features=rows, pictures=True, **fields)


def test_planted_labels_come_first_with_what_they_rather_are(tmp_path: Path) -> None:
    with FeatureFile(planted(tmp_path / "f.h5")) as file:
        sheet = TileSheet(file)
        found = doubts_in(file, sheet, [f"{row}.png" for row in range(80)], seed=0)
    assert found is not None
    assert {one.name for one in found.labels[:2]} == {"3.png", "50.png"}
    assert {(one.label, one.suggested) for one in found.labels[:2]} == {("COVID", "NORMAL"), ("NORMAL", "COVID")}
    assert found.labels[0].score >= found.labels[1].score > 0.9
    assert (found.images, found.doubtful) == (80, 2)
    assert found.expected_wrong == pytest.approx(2, abs=1)


def test_nobody_looks_where_the_network_saw_the_labels_or_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FeatureFile(planted(tmp_path / "bound.h5", bound=[PARTS[row % 3] for row in range(80)])) as file:
        assert doubts_in(file, TileSheet(file), [""] * 80, seed=0) is None
    monkeypatch.setattr(doubts, "JUDGED", 79)
    with FeatureFile(planted(tmp_path / "f.h5")) as file:
        assert doubts_in(file, TileSheet(file), [""] * 80, seed=0) is None

"""Features of changed images are the network's of the plain view of each, in the order of the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.feature import variant
from cxrfeat.feature.variant import variant_features
from cxrfeat.image.index import index_folder
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Features, Views
from tests.feature.images import break_image, make_data
from tests.stub import DIM, stub_features
from tests.view.prepared import prepared

PLAIN = ViewSpec(size=32, count=1)
CUT = replace(PLAIN, border_crop=0.2)


class Bare:
    """The stub's numbers, of any number of views."""

    name, dim, batch = "bare", DIM, 4

    def run(self, views: Views) -> Features:
        return stub_features(views)


def test_every_description_has_the_features_of_every_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = index_folder(make_data(tmp_path / "data", 4)).rows[::-1]
    lungs = replace(PLAIN, mask="lungs")
    monkeypatch.setattr(variant, "_AT_ONCE", 3)
    told: list[tuple[int, int]] = []
    found = variant_features(rows, tmp_path / "data", [PLAIN, CUT, lungs], Bare(), lambda *one: told.append(one))
    assert told == [(3, 8), (6, 8), (8, 8)]
    for view in (PLAIN, CUT):
        alone = [prepared(tmp_path / "data" / row.path, row.content_sha256, [view]).of(view) for row in rows]
        np.testing.assert_array_equal(found[view], stub_features(np.concatenate(alone)))
    assert 0 < found[lungs].mean() < found[PLAIN].mean(), "the template stood in for masks that are not there"


def test_an_image_that_cannot_be_used_any_more_is_an_error(tmp_path: Path) -> None:
    rows = index_folder(make_data(tmp_path / "data", 2)).rows
    break_image(tmp_path / "data" / rows[2].path)
    with pytest.raises(BadImageError, match="changed while the run went on"):
        variant_features(rows, tmp_path / "data", [PLAIN], Bare())


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    class Odd(Bare):
        def run(self, views: Views) -> Features:
            return np.full((len(views), DIM), np.nan, np.float32)

    rows = index_folder(make_data(tmp_path / "data", 1)).rows
    with pytest.raises(InputError, match="NaN or infinity"):
        variant_features(rows, tmp_path / "data", [PLAIN], Odd())

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.statistics import pixel_statistics
from cxrfeat.image.index import index_folder
from cxrfeat.spec import ViewSpec
from tests.feature.images import break_image, make_data
from tests.view.prepared import prepared

VIEW = ViewSpec(size=32, count=4)


def test_statistics_are_numpys_over_the_plain_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = index_folder(make_data(tmp_path)).rows
    plain = ViewSpec(size=32, count=1)
    pixels = np.stack([prepared(tmp_path / row.path, row.content_sha256, [plain]).views[plain] for row in rows])
    mean, std = pixel_statistics(rows, tmp_path, VIEW)
    assert mean == pytest.approx(pixels.mean(dtype=np.float64), rel=1e-12)
    assert std == pytest.approx(pixels.std(dtype=np.float64), rel=1e-12)
    monkeypatch.setattr("cxrfeat.system.ahead.threads", lambda: 3)
    assert pixel_statistics(rows[::-1], tmp_path, VIEW) == (mean, std), "to the last bit, in any order"


def test_a_bad_image_counts_for_nothing(tmp_path: Path) -> None:
    data = make_data(tmp_path)
    whole = index_folder(data).rows
    break_image(data / "A" / "image0.png")
    rows = index_folder(data).rows
    assert len(rows) == len(whole)
    assert pixel_statistics(rows, data, VIEW) == pixel_statistics(rows[1:], data, VIEW)


def test_nothing_to_count_is_an_error(tmp_path: Path) -> None:
    data = make_data(tmp_path, 1)
    for path in data.glob("*/*.png"):
        break_image(path)
    with pytest.raises(InputError, match=r"None of the training images can be read"):
        pixel_statistics(index_folder(data).rows, data, VIEW)


def test_progress_counts_every_image(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    pixel_statistics(index_folder(make_data(tmp_path)).rows, tmp_path, VIEW, lambda *one: told.append(one))
    assert told == [("training pixels", done, 12) for done in range(1, 13)]

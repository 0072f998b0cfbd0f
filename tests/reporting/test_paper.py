from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.reporting.paper import ROWS, find_rows


def test_the_table_is_the_papers() -> None:
    assert len(ROWS) == 14
    for row in ROWS:
        if row.confusion is not None:
            matrix = np.array(row.confusion)
            assert matrix.sum(axis=1).tolist() == [235, 244, 241]
            assert round(np.trace(matrix) / 720, 4) == pytest.approx(
                row.test_accuracy, abs=1.5e-4
            )  # it cuts where we round, row.name
    assert [row.head for row in ROWS[:4]] == ["softmax", "softmax", "dense", "dropout"]
    assert [row.name for row in ROWS if row.tuned] == [
        "DN-V3", "ResNet-FT", "VGG16-FT", "InceptionV3-FT", "Xception-FT", "CNN from scratch"
    ]  # fmt: skip


def test_rows_are_found_by_name_and_a_wrong_name_is_told_the_nearest() -> None:
    assert [row.name for row in find_rows(["scratch", "DN-v3"])] == ["DN-V3", "CNN from scratch"]
    assert len(find_rows([])) == 14
    with pytest.raises(UsageError, match=r"no row 'VGG-FT'. Did you mean VGG16-FT\?"):
        find_rows(["VGG-FT"])

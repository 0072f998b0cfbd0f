from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.explaining.unit import best_cells, top


def test_each_image_gives_its_best_place_and_the_best_images_win() -> None:
    maps = np.zeros((3, 2, 3, 2), np.float32)
    maps[0, 1, 2, 1] = 5
    maps[0, 0, 0, 1] = 4.5
    maps[1, 0, 1, 1] = 7
    maps[2, 1, 0, 1] = 1
    places = best_cells(maps, [1], first=10)[1]
    assert [(one.image, one.row, one.column, one.activation) for one in places] == [
        (10, 1, 2, 5.0), (11, 0, 1, 7.0), (12, 1, 0, 1.0),
    ]  # fmt: skip
    assert [one.image for one in top(places, 2)] == [11, 10]
    assert [one.image for one in top(best_cells(maps, [0])[0], 5)] == [0, 1, 2], "equal ones in the order of images"


@pytest.mark.parametrize("unit", [-1, 2])
def test_a_unit_that_is_not_there_is_refused(unit: int) -> None:
    with pytest.raises(UsageError, match=rf"`units={unit}`: the layer has units 0 to 1"):
        best_cells(np.zeros((1, 2, 2, 2), np.float32), [unit])

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.explaining.field import Field, regular
from cxrfeat.explaining.place import FRAME, Placing, even, from_frame
from cxrfeat.spec import ViewSpec
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import ViewParams

VIEW = ViewSpec(size=64, count=1)
FOUR = (regular(4, 64), regular(4, 64))


def one_hot(row: int, column: int) -> np.ndarray:
    heat = np.zeros((4, 4), np.float32)
    heat[row, column] = 1
    return heat


def test_a_cell_stands_at_its_middle_with_its_own_value() -> None:
    heat = np.random.default_rng(0).uniform(0, 1, (4, 4)).astype(np.float32)
    laid = Placing(fields=FOUR, view=VIEW).lay(heat, (400, 400))
    np.testing.assert_allclose(laid[50::100, 50::100], heat, atol=0.01)
    assert laid.min() >= heat.min() - 1e-6
    assert laid.max() <= heat.max() + 1e-6


@pytest.mark.parametrize(
    "params", [ViewParams(), ViewParams(flip=True), ViewParams(zoom=1.2), ViewParams(flip=True, zoom=1.15)]
)
@pytest.mark.parametrize("crop", [0.0, 0.1])
def test_heat_lies_where_the_view_shows_that_part_of_the_image(params: ViewParams, crop: float) -> None:
    """A bright square in the image is found in the view's own cells, and laid back over the square."""
    spec = ViewSpec(size=64, count=1, border_crop=crop)
    image = np.zeros((300, 200), np.uint8)
    image[180:210, 60:80] = 255
    view = apply_views(spec, image, [params])[0].astype(np.float32)
    cells = view.reshape(16, 4, 16, 4).mean(axis=(1, 3))
    placing = Placing(fields=(regular(16, 64),) * 2, view=spec, params=params)
    laid = placing.lay(cells, image.shape)
    rows, columns = np.nonzero(laid > 0.5 * laid.max())
    assert abs(rows.mean() - 194.5) < 6
    assert abs(columns.mean() - 69.5) < 4
    x, y = placing.peak(cells, image.shape)
    assert 50 < x < 90
    assert 165 < y < 225


def test_what_the_view_did_not_show_has_no_heat() -> None:
    placing = Placing(fields=FOUR, view=ViewSpec(size=64, count=1, border_crop=0.25))
    laid = placing.lay(np.ones((4, 4), np.float32), (100, 100))
    assert laid[25:75, 25:75].min() == 1
    assert laid.sum() == 50 * 50
    np.testing.assert_array_equal(placing.seen((100, 100)), laid > 0)
    zoomed = Placing(fields=FOUR, view=VIEW, params=ViewParams(zoom=2.0))
    assert zoomed.seen((100, 100)).sum() == 50 * 50


def test_shifted_cells_are_laid_where_their_fields_lie() -> None:
    shifted = Field(step=16, first=15.5, size=40)
    placing = Placing(fields=(shifted, shifted), view=VIEW)
    x, y = placing.peak(one_hot(1, 2), (128, 256))
    assert [x, y] == pytest.approx([47.5 * 4, 31.5 * 2])
    assert placing.peak(one_hot(3, 3), (64, 64)) == (63.5, 63.5)
    assert placing.cell((128, 256)) == (64, 32)


def test_boxes_are_in_pixels_of_the_image() -> None:
    placing = Placing(fields=(Field(16, 8, 40),) * 2, view=VIEW)
    assert placing.box(1, 2, (64, 128)) == (64, 16, 96, 32)
    assert placing.reach(1, 2, (64, 128)) == (40, 4, 120, 44)
    assert placing.reach(0, 0, (64, 64)) == (0, 0, 28, 28)
    mirrored = Placing(fields=placing.fields, view=VIEW, params=ViewParams(flip=True))
    assert mirrored.box(1, 2, (64, 128)) == (32, 16, 64, 32)


def test_a_frame_over_the_image_is_cut_as_the_view_is() -> None:
    frame = np.zeros(FRAME, np.float32)
    frame[:16] = 1
    whole = from_frame(frame, VIEW)
    assert whole.shape == (64, 64)
    np.testing.assert_allclose(whole, frame)
    cut = from_frame(frame, ViewSpec(size=64, count=1, border_crop=0.125))
    assert abs(float(cut.mean()) - 8 / 48) < 0.02


def test_occluded_places_part_the_view_evenly() -> None:
    rows, columns = even(14, 224)
    assert rows == columns == Field(step=16, first=8, size=32)

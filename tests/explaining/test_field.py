from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone.quiet import import_keras
from cxrfeat.explaining.field import Field, fields_of, regular
from cxrfeat.explaining.gradient import gradient_of_sum
from tests.explaining.nets import convolutional, nested

SIZE = 32


def residual(keras: Any) -> Any:
    layers = keras.layers
    given = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 5, strides=2, padding="same")(given)
    y = layers.Conv2D(4, 3, padding="same", dilation_rate=2)(x)
    gate = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(y))
    x = layers.Add()([x, layers.Multiply()([y, layers.Activation("sigmoid")(gate)])])
    return keras.Model(given, layers.AveragePooling2D(2)(x))


def padded(keras: Any) -> Any:
    layers = keras.layers
    given = keras.Input((SIZE, SIZE, 3))
    x = layers.ZeroPadding2D(((0, 1), (3, 3)))(given)
    x = layers.DepthwiseConv2D(3, strides=2)(x)
    x = layers.Cropping2D(((1, 0), (2, 1)))(x)
    return keras.Model(given, layers.SeparableConv2D(4, (1, 5))(x))


def branches(keras: Any) -> Any:
    layers = keras.layers
    given = keras.Input((33, 33, 3))
    one = layers.Conv2D(4, 3, strides=2, padding="same")(given)
    other = layers.MaxPooling2D(5, strides=2, padding="same")(given)
    return keras.Model(given, layers.Concatenate()([one, other]))


def touched(model: Any, row: int, column: int) -> tuple[slice, slice]:
    """Which pixels a cell depends on, by the gradient: weights and pixels are positive, so nothing cancels."""
    keras = import_keras()
    model.set_weights([np.abs(one) + 0.1 for one in model.get_weights()])
    pixels = np.random.default_rng(0).uniform(1, 2, (1, *model.input_shape[1:])).astype(np.float32)
    _, gradient = gradient_of_sum(lambda x: keras.ops.sum(model(x)[:, row, column], axis=-1), pixels)
    rows, columns = np.nonzero(np.abs(gradient[0]).sum(axis=-1))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


@pytest.mark.parametrize("make", [convolutional, nested, padded])
def test_fields_are_what_the_gradient_touches(make: Callable[[Any], Any]) -> None:
    model = make(import_keras())
    fields = fields_of(model.outputs[0])
    assert fields is not None
    for row, column in ((1, 1), (2, 2), (2, 1)):
        for field, cell, pixels, length in zip(
            fields, (row, column), touched(model, row, column), model.input_shape[1:3], strict=True
        ):
            assert field.span(cell, length) == (pixels.start, pixels.stop)


def test_gates_depend_on_everything_and_are_left_out_of_account() -> None:
    found = fields_of(residual(import_keras()).outputs[0])
    assert found is not None
    # 5 wide, then 4 more cells each way at 2 pixels, then a window of 2 cells
    assert found[0] == found[1] == Field(step=4, first=2.5, size=5 + 2 * 4 + 2)


def test_branches_are_joined_where_their_cells_lie_alike() -> None:
    found = fields_of(branches(import_keras()).outputs[0])
    assert found == (Field(step=2, first=0.5, size=5), Field(step=2, first=0.5, size=5))


def test_one_sided_padding_moves_the_cells() -> None:
    keras = import_keras()
    given = keras.Input((SIZE, SIZE, 3))
    x = given
    for _ in range(5):
        x = keras.layers.Conv2D(2, 3, strides=2, padding="same")(x)
    found = fields_of(x)
    assert found is not None
    assert (found[0].step, found[0].first) == (32, 31.5), "half a cell from where an even grid has it"
    assert regular(1, SIZE).first == 16


@pytest.mark.parametrize(
    "layer",
    [
        lambda keras: keras.layers.Conv2DTranspose(3, 3, strides=2),
        lambda keras: keras.layers.UpSampling2D(2),
        lambda keras: keras.layers.Reshape((16, 64, 3)),
    ],
)
def test_what_is_not_known_to_be_local_is_not_guessed(layer: Callable[[Any], Any]) -> None:
    keras = import_keras()
    given = keras.Input((SIZE, SIZE, 3))
    assert fields_of(layer(keras)(given)) is None
    assert fields_of(keras.layers.Conv2D(2, 3)(layer(keras)(given))) is None


@pytest.mark.slow
def test_every_network_of_the_table_has_fields() -> None:
    from cxrfeat.backbone.table import TABLE

    keras = import_keras()
    for row in TABLE.values():
        constructor = getattr(keras.applications, row.constructor)
        made = constructor(weights=None, include_top=False, input_shape=(row.size, row.size, 3))
        found = fields_of(made.outputs[0])
        assert found is not None, row.name
        assert found[0].step == 32 or row.name in ("inceptionv3", "xception")
        assert 0 <= found[0].first <= 40, row.name
        assert found[0].size > 100

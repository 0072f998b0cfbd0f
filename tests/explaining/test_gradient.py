from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import UsageError
from cxrfeat.explaining.gradient import Tensor, gradient_of_sum


def squares(values: Tensor) -> Tensor:
    keras = import_keras()
    return keras.ops.sum(keras.ops.square(values), axis=1)


def test_a_gradient_is_that_of_each_row_by_itself() -> None:
    values = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    found, gradient = gradient_of_sum(squares, values)
    np.testing.assert_allclose(found, [5.0, 9.25])
    np.testing.assert_allclose(gradient, 2 * values)


def test_a_backend_that_takes_no_gradients_here_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_keras().backend, "backend", lambda: "numpy")
    with pytest.raises(UsageError, match=r"runs on numpy, where cxrfeat takes no gradients.*`method=occlusion`"):
        gradient_of_sum(squares, np.zeros((1, 2), np.float32))

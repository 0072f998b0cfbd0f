from __future__ import annotations

import pytest

from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import UsageError
from cxrfeat.finetuning.memory import activation_bytes, available_memory, check_batch


def test_memory_is_reckoned_from_the_layers() -> None:
    keras = import_keras()
    body = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, padding="same"), keras.layers.ReLU()])
    assert activation_bytes(body) == 2 * 8 * 8 * 4 * 4
    check_batch(body, 10, parameters=40, free=None)
    check_batch(body, 10, parameters=40, free=10**6)
    with pytest.raises(UsageError, match=r"The largest that fits is `batch=4`\."):
        check_batch(body, 10, parameters=40, free=10_000)
    with pytest.raises(UsageError, match=r"Not even one image fits"):
        check_batch(body, 10, parameters=40, free=1000)
    free = available_memory()
    assert free is None or free > 2**20

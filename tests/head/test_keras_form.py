"""Heads as layers of Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone.model_file import check_model_file
from cxrfeat.head.keras_form import with_head
from cxrfeat.spec import HEAD_KINDS
from tests.head.blobs import blobs, head_of


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3.15.1 on saving
@pytest.mark.parametrize("classes", [2, 3])
def test_heads_as_layers_say_what_they_say_with_numpy_and_are_loaded_again(classes: int, tmp_path: Path) -> None:
    from cxrfeat.backbone.quiet import import_keras

    keras, X = import_keras(), blobs(classes)[2]
    for kind in HEAD_KINDS:
        given = keras.Input((4, 4, 1), dtype="uint8", name="view")
        flat: Any = keras.layers.Flatten()(keras.ops.cast(given, "float32"))
        head = head_of(kind, classes)
        model = with_head(keras, keras.Model(given, flat / 32.0 - 4.0), head)
        views = np.clip((X + 4) * 32, 0, 255).astype(np.uint8)
        wanted = head.predict_proba((views / 32 - 4).astype(np.float32))
        model.save(tmp_path / "model.keras")
        check_model_file(tmp_path / "model.keras")  # no code of its own
        again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        for one in (model, again):
            found = np.asarray(one.predict_on_batch(views.reshape(-1, 4, 4, 1)))
            np.testing.assert_allclose(found, wanted, atol=1e-5, err_msg=kind)

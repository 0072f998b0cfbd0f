"""Keras models as bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.backbone.saved import keras_bytes


@pytest.mark.slow
def test_equal_models_are_equal_files_and_are_loaded_again(tiny_network: Path, tmp_path: Path) -> None:
    from cxrfeat.backbone.quiet import import_keras

    keras = import_keras()
    model = keras.saving.load_model(tiny_network)
    content = keras_bytes(model)
    assert keras_bytes(keras.saving.load_model(tiny_network)) == content
    (tmp_path / "again.keras").write_bytes(content)
    again = keras.saving.load_model(tmp_path / "again.keras")
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.head import keras_head
from cxrfeat.head.fit import fit_head
from cxrfeat.head.training import Training
from cxrfeat.head.order import epoch_rows
from cxrfeat.metric.calibrate import log_loss, softmax
from cxrfeat.spec import HeadKind, HeadSpec
from tests.head.blobs import NAMES, blobs, fitted

KINDS: tuple[HeadKind, ...] = ("softmax", "dense", "dropout")


def kept(kind: HeadKind, dim: int = 16, classes: int = 3) -> Any:
    """The Keras model that the last fit of this shape used."""
    spec = HeadSpec(kind=kind)
    protocol = (spec.dropout, spec.learning_rate, spec.decay, spec.momentum)
    return keras_head._kept(kind, dim, classes, *protocol).model


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_numpy_predicts_what_keras_predicts(kind: HeadKind, classes: int) -> None:
    data = blobs(classes)
    head = fitted(kind, data, epochs=2).head
    with_keras = softmax(kept(kind, classes=classes).predict(data[2], verbose=0))
    np.testing.assert_allclose(head.predict_proba(data[2]), with_keras, atol=1e-5)


def test_the_networks_are_those_of_the_study() -> None:
    shapes = {kind: [v.shape for n, v in fitted(kind, epochs=0).head.arrays.items() if "w" in n] for kind in KINDS}
    assert shapes["softmax"] == [(16, 3)]
    assert shapes["dense"] == shapes["dropout"] == [(16, 500), (500, 200), (200, 3)]
    assert [layer.__class__.__name__ for layer in kept("dropout").layers] == ["Dense", "Dropout", "Dense", "Dense"]


def test_no_epochs_leave_the_head_as_it_was_drawn() -> None:
    untrained = fitted("dense", epochs=0, seed=1)
    assert untrained.history == []
    limit = (6 / (16 + 500)) ** 0.5
    weights = untrained.head.arrays["weights_0"]
    assert abs(weights).max() <= limit
    assert weights.std() == pytest.approx(limit / 3**0.5, rel=0.05)
    assert not untrained.head.arrays["bias_0"].any()
    assert fitted("dense", epochs=0, seed=2).head.to_npz() != untrained.head.to_npz()


def test_one_epoch_of_softmax_is_the_studys_protocol_step_by_step() -> None:
    X, y, *_ = data = blobs()
    spec = HeadSpec(kind="softmax", epochs=1, seed=4, decay=0.1)  # a decay that shows
    start = fitted("softmax", data, epochs=0, seed=4).head.arrays
    parameters = [start["weights_0"].astype(np.float64), start["bias_0"].astype(np.float64)]
    momenta = [np.zeros_like(value) for value in parameters]
    image, view = epoch_rows(X.shape[0], X.shape[1], None, 4, 0)
    for step, rows in enumerate(np.split(np.arange(len(image)), [32, 64, 96])):
        batch, target = X[image[rows], view[rows]].astype(np.float64), np.eye(3)[y[image[rows]]]
        error = (softmax(batch @ parameters[0] + parameters[1]) - target) / len(rows)
        rate = spec.learning_rate / (1 + spec.decay * step)
        for index, gradient in enumerate((batch.T @ error, error.sum(0))):
            momenta[index] = spec.momentum * momenta[index] - rate * gradient
            parameters[index] += spec.momentum * momenta[index] - rate * gradient  # Nesterov
    trained = fitted("softmax", data, epochs=1, seed=4, decay=0.1).head.arrays
    np.testing.assert_allclose(trained["weights_0"], parameters[0], atol=1e-5)
    np.testing.assert_allclose(trained["bias_0"], parameters[1], atol=1e-5)


def test_history_has_a_row_per_epoch_and_progress_is_told() -> None:
    X, y, X_val, y_val = blobs()
    told: list[tuple[int, int]] = []
    spec = HeadSpec(kind="softmax", epochs=3)
    found = fit_head(spec, Training(X, y, X_val, y_val, NAMES[:3]), lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [row["epoch"] for row in found.history] == [1, 2, 3]
    assert list(found.history[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    assert found.history[-1]["val_loss"] == pytest.approx(log_loss(found.head.decision(X_val), y_val))
    assert found.history[-1]["val_accuracy"] == (found.head.predict(X_val) == y_val).mean()


def test_a_fit_leaves_no_trace_on_the_next() -> None:
    first = fitted("dropout", epochs=2, seed=1)
    fitted("dropout", epochs=1, seed=2)
    assert fitted("dropout", epochs=2, seed=1).head.to_npz() == first.head.to_npz()
    keras_head._kept.cache_clear()
    assert fitted("dropout", epochs=2, seed=1).head.to_npz() == first.head.to_npz()


def test_steps_per_call_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    many = fitted("dropout", epochs=2)
    monkeypatch.setattr(keras_head, "STEPS", 1)
    keras_head._kept.cache_clear()
    one = fitted("dropout", epochs=2)
    keras_head._kept.cache_clear()
    assert one.history == many.history
    assert one.head.to_npz() == many.head.to_npz()


def test_the_seed_decides_dropout() -> None:
    """Same first weights and order, another dropout seed, another head."""
    trained = fitted("dropout", epochs=1).head
    undropped = fitted("dropout", epochs=1, dropout=0.0).head
    plain = fitted("dense", epochs=1).head
    np.testing.assert_allclose(undropped.arrays["weights_1"], plain.arrays["weights_1"], atol=1e-6)
    assert abs(trained.arrays["weights_1"] - plain.arrays["weights_1"]).max() > 1e-4


def test_global_generators_are_left_alone() -> None:
    import keras

    keras_head._kept.cache_clear()
    keras.utils.set_random_seed(3)
    states = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002  # the one watched
    fitted("dropout", epochs=1)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # type: ignore[index]  # noqa: NPY002
    assert keras.config.dtype_policy().name == "float32"


def test_mixed_precision_elsewhere_does_not_reach_the_head() -> None:
    import keras

    plain = fitted("dense", epochs=1)
    keras_head._kept.cache_clear()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = fitted("dense", epochs=1)
    finally:
        keras.config.set_dtype_policy("float32")
        keras_head._kept.cache_clear()
    assert mixed.head.to_npz() == plain.head.to_npz()


def test_one_view_per_epoch_takes_fewer_steps() -> None:
    data = blobs(images=64, views=4)
    fitted("softmax", data, epochs=2, views_per_epoch=1)
    assert int(kept("softmax").optimizer.iterations) == 2 * 2
    fitted("softmax", data, epochs=2)
    assert int(kept("softmax").optimizer.iterations) == 2 * 8


def test_standardised_features_are_standardised_in_the_head_too() -> None:
    X, y, X_val, y_val = blobs()
    plain = fitted("dense", (X, y, X_val, y_val), epochs=1, standardize=True)
    moved = fitted("dense", (X * 8 + 2, y, X_val * 8 + 2, y_val), epochs=1, standardize=True)
    np.testing.assert_allclose(moved.head.predict_proba(X_val * 8 + 2), plain.head.predict_proba(X_val), atol=1e-4)


def test_divergence_names_the_remedy() -> None:
    X, y, X_val, y_val = blobs()
    with pytest.raises(InputError, match=r"dense head diverged in epoch \d.*learning rate 10 .*--standardize"):
        fitted("dense", (X * 1000, y, X_val, y_val), epochs=5, learning_rate=10.0)


def test_an_interrupt_passes_through() -> None:
    X, y, X_val, y_val = blobs()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_head(HeadSpec(kind="softmax"), Training(X, y, X_val, y_val, NAMES[:3]), interrupt)
    assert fitted("softmax", epochs=1).history  # and the next fit is free to run

"""The networks: trained as plain Keras trains them from the same start in the same order, in a fraction of the time."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.head.fit import fit_head
from cxrfeat.head.network_head import first_weights, hidden, learning_rates
from cxrfeat.head.sampling import epoch_rows
from cxrfeat.head.training_set import TrainingSet, importance
from cxrfeat.metric.calibrate import log_loss, softmax
from cxrfeat.spec import HeadKind, HeadSpec
from tests.head.blobs import NAMES, Blobs, blobs, fitted
from tests.head.epochs import epochs_of

KINDS: tuple[HeadKind, ...] = ("softmax", "dense", "dropout")


def plain_keras(spec: HeadSpec, data: Blobs) -> tuple[Any, list[float]]:
    """The same head as anybody would write it in Keras: the model after training, and the loss of each epoch."""
    import keras

    X, y, *_ = data
    images, views, dim = X.shape
    classes = int(y.max()) + 1
    penalty = keras.regularizers.L2(spec.l2) if spec.l2 else None
    layers: list[Any] = [keras.Input((dim,))]
    for units in hidden(spec):
        layers.append(keras.layers.Dense(units, activation="relu", kernel_regularizer=penalty))
    model = keras.Sequential([*layers, keras.layers.Dense(classes, kernel_regularizer=penalty)])
    model.set_weights(first_weights(spec, dim, classes))
    steps = -(-images * (spec.views_per_epoch or views) // spec.batch)
    rate: Any = spec.learning_rate
    if spec.schedule == "inverse-time":
        rate = keras.optimizers.schedules.InverseTimeDecay(spec.learning_rate, decay_steps=1, decay_rate=spec.decay)
    elif spec.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(spec.learning_rate, decay_steps=steps * spec.epochs)
    optimizer = (
        keras.optimizers.Adam(rate)
        if spec.optimizer == "adam"
        else keras.optimizers.SGD(rate, momentum=spec.momentum, nesterov=True)
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=spec.label_smoothing)
    model.compile(optimizer, loss)
    weights = importance(y, classes, spec.class_weights)
    losses = []
    for number in range(spec.epochs):
        image, view = epoch_rows(images, views, spec.views_per_epoch, spec.seed, number)
        told = model.fit(
            X[image, view],
            np.eye(classes, dtype=np.float32)[y[image]],
            sample_weight=weights[image],
            batch_size=spec.batch,
            epochs=1,
            shuffle=False,
            verbose=0,
        )
        losses.append(told.history["loss"][0])
    return model, losses


PROTOCOLS: list[dict[str, Any]] = [
    {"schedule": "cosine", "momentum": 0.5, "label_smoothing": 0.2},
    {"schedule": "constant", "batch": 7, "hidden": (9,), "views_per_epoch": 1},
    {"optimizer": "adam", "learning_rate": 1e-3, "hidden": (20, 10, 5)},
    {"l2": 0.01, "decay": 0.01, "class_weights": "balanced"},
]
APART: list[dict[str, Any]] = [
    {},
    {"schedule": "cosine", "momentum": 0.5},
    {"schedule": "constant", "batch": 7, "hidden": (9,)},
    {"l2": 0.01, "decay": 0.01},
    {"label_smoothing": 0.2},
    {"class_weights": "balanced"},
    {"views_per_epoch": 1},
]
"""The same one by one."""


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "fields",
    [*PROTOCOLS[:2], *(pytest.param(fields, marks=pytest.mark.slow) for fields in (*PROTOCOLS[2:], *APART))],
    ids=lambda fields: ",".join(fields) or "paper",
)
@pytest.mark.parametrize("classes", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_training_is_plain_keras_from_the_same_start_in_the_same_order(fields: dict[str, Any], classes: int) -> None:
    X, y, X_val, y_val = blobs(classes)
    data = X[y.argsort()[:53]], y[y.argsort()[:53]], X_val, y_val  # a class of fewer images, and a shorter last batch
    spec = HeadSpec(kind="dense", epochs=3, seed=5, **fields)
    model, losses = plain_keras(spec, data)
    found = fitted("dense", data, epochs=3, seed=5, standardize=False, **fields)
    assert [row["loss"] for row in epochs_of(found)] == pytest.approx(losses, rel=1e-4)
    # Adam divides by a slope's own size, and so makes rounding of small ones large.
    nearly = 5e-4 if spec.optimizer == "adam" else 2e-5
    for ours, theirs in zip(found.head.arrays.values(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=nearly)
    np.testing.assert_allclose(found.head.predict_proba(X_val), softmax(model.predict(X_val, verbose=0)), atol=nearly)


@pytest.mark.parametrize(
    "fields", [{}, pytest.param({"optimizer": "adam", "learning_rate": 1e-4, "l2": 1e-3}, marks=pytest.mark.slow)]
)
def test_so_it_is_with_features_for_which_weights_are_stored_with_a_gap(fields: dict[str, Any]) -> None:
    data = blobs(images=40, dim=1024, distance=0.3)
    spec = HeadSpec(kind="dense", epochs=2, **fields)
    model, losses = plain_keras(spec, data)
    found = fitted("dense", data, epochs=2, standardize=False, **fields)
    assert [row["loss"] for row in epochs_of(found)] == pytest.approx(losses, rel=1e-4)
    for ours, theirs in zip(found.head.arrays.values(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5e-4 if fields else 2e-5)


def test_the_networks_are_those_of_the_paper() -> None:
    shapes = {kind: [v.shape for n, v in fitted(kind, epochs=0).head.arrays.items() if "w" in n] for kind in KINDS}
    assert shapes["softmax"] == [(16, 3)]
    assert shapes["dense"] == shapes["dropout"] == [(16, 500), (500, 200), (200, 3)]
    assert fitted("dense", epochs=0, hidden=(7,)).head.arrays["weights_1"].shape == (7, 3)


def test_no_epochs_leave_the_head_as_it_was_drawn() -> None:
    untrained = fitted("dense", epochs=0, seed=1)
    assert epochs_of(untrained) == []
    limit = (6 / (16 + 500)) ** 0.5
    weights = untrained.head.arrays["weights_0"]
    assert abs(weights).max() <= limit
    assert weights.std() == pytest.approx(limit / 3**0.5, rel=0.05)
    assert not untrained.head.arrays["bias_0"].any()
    assert fitted("dense", epochs=0, seed=2).head.to_npz() != untrained.head.to_npz()


def test_one_epoch_of_softmax_is_the_papers_protocol_step_by_step() -> None:
    X, y, *_ = data = blobs()
    spec = HeadSpec(kind="softmax", epochs=1, seed=4, decay=0.1)  # a decay that shows
    start = fitted("softmax", data, epochs=0, seed=4, standardize=False).head.arrays
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
    trained = fitted("softmax", data, epochs=1, seed=4, decay=0.1, standardize=False).head.arrays
    np.testing.assert_allclose(trained["weights_0"], parameters[0], atol=1e-5)
    np.testing.assert_allclose(trained["bias_0"], parameters[1], atol=1e-5)


def test_history_has_a_row_per_epoch_and_progress_is_told() -> None:
    X, y, X_val, y_val = blobs()
    told: list[tuple[int, int]] = []
    spec = HeadSpec(kind="softmax", epochs=3)
    found = fit_head(spec, TrainingSet(X, y, X_val, y_val, NAMES[:3]), lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [row["epoch"] for row in epochs_of(found)] == [1, 2, 3]
    assert list(epochs_of(found)[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "kept"]
    assert epochs_of(found)[-1]["loss"] < epochs_of(found)[0]["loss"]
    assert epochs_of(found)[-1]["val_loss"] == pytest.approx(log_loss(found.head.decision(X_val), y_val))
    assert epochs_of(found)[-1]["val_accuracy"] == (found.head.predict(X_val) == y_val).mean()


def test_a_fit_leaves_no_trace_on_the_next() -> None:
    first = fitted("dropout", epochs=2, seed=1)
    fitted("dropout", epochs=1, seed=2)
    assert fitted("dropout", epochs=2, seed=1).head.to_npz() == first.head.to_npz()


@pytest.mark.slow
def test_dropout_trains_as_keras_s_own_on_average() -> None:
    """Over seeds the final loss is distributed alike; the draws themselves differ."""
    import keras

    X, y, X_val, y_val = blobs(images=120, distance=0.8)
    data = X, y, X_val, y_val
    ours = [epochs_of(fitted("dropout", data, epochs=6, seed=seed, standardize=False))[-1]["loss"] for seed in range(8)]
    theirs = []
    for seed in range(8):
        dense, dropout = keras.layers.Dense, keras.layers.Dropout
        model = keras.Sequential(
            [keras.Input((16,)), dense(500, "relu"), dropout(0.5, seed=seed), dense(200, "relu"), dense(3)]
        )
        model.set_weights(first_weights(HeadSpec(kind="dropout", seed=seed), 16, 3))
        rate = keras.optimizers.schedules.InverseTimeDecay(0.01, 1, 1e-6)
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        for number in range(6):
            image, view = epoch_rows(120, 2, None, seed, number)
            loss = model.fit(X[image, view], y[image], shuffle=False, verbose=0).history["loss"][0]
        theirs.append(loss)
    spread = float(np.std(ours + theirs)) / 8**0.5
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * spread


def test_early_stopping_keeps_the_epoch_of_the_least_validation_loss() -> None:
    X, y, X_val, y_val = blobs(distance=0.3)
    whole = fitted("dense", (X, y, X_val, y_val), epochs=25, learning_rate=0.05)
    losses = [row["val_loss"] for row in epochs_of(whole)]
    best = int(np.argmin(losses))
    assert best < 20, "these blobs can be overfitted"
    assert [row["kept"] for row in epochs_of(whole)] == [False] * 24 + [True]
    stopped = fitted("dense", (X, y, X_val, y_val), epochs=25, learning_rate=0.05, patience=4)
    assert [row["epoch"] for row in epochs_of(stopped) if row["kept"]] == [best + 1]
    assert len(epochs_of(stopped)) == best + 1 + 4
    assert log_loss(stopped.head.decision(X_val), y_val) == pytest.approx(losses[best])
    assert f"epoch {best + 1} is kept" in stopped.notes[0]
    without = fitted("dense", (X, y, X_val[:0], y_val[:0]), epochs=3, patience=1)
    assert len(epochs_of(without)) == 3
    assert "did not stop early" in without.notes[0]


def test_a_drop_of_the_validation_loss_counts_from_min_delta_on() -> None:
    data = blobs(distance=0.3)
    losses = [row["val_loss"] for row in epochs_of(fitted("dense", data, epochs=25, learning_rate=0.05))]
    drop = (losses[0] - min(losses)) / 2
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best] - drop:
            best = epoch
        elif epoch - best >= 3:
            break
    assert 0 < best < int(np.argmin(losses)), "some epochs here are better, but not by enough"
    stopped = fitted("dense", data, epochs=25, learning_rate=0.05, patience=3, min_delta=drop)
    assert [row["epoch"] for row in epochs_of(stopped) if row["kept"]] == [best + 1]
    assert len(epochs_of(stopped)) == best + 1 + 3
    never = fitted("dense", data, epochs=25, learning_rate=0.05, patience=3, min_delta=100.0)
    assert len(epochs_of(never)) == 1 + 3, "the first epoch always counts, and then none"


def test_learning_rates_follow_the_schedule() -> None:
    base: dict[str, Any] = {"kind": "dense", "learning_rate": 0.1, "decay": 1.0}
    assert learning_rates(HeadSpec(**base), 3).tolist() == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert learning_rates(HeadSpec(**base, schedule="cosine"), 2).tolist() == pytest.approx([0.1, 0.05])
    assert learning_rates(HeadSpec(**base, schedule="constant"), 2).tolist() == [0.1, 0.1]


def test_the_seed_decides_dropout() -> None:
    """Same first weights and order, another dropout seed, another head."""
    trained = fitted("dropout", epochs=1).head
    undropped = fitted("dropout", epochs=1, dropout=0.0).head
    plain = fitted("dense", epochs=1).head
    np.testing.assert_allclose(undropped.arrays["weights_1"], plain.arrays["weights_1"], atol=1e-6)
    assert abs(trained.arrays["weights_1"] - plain.arrays["weights_1"]).max() > 1e-4


def test_global_generators_are_left_alone() -> None:
    import keras

    def states() -> tuple[object, list[int]]:
        return random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002  # watched

    keras.utils.set_random_seed(3)
    before = states()
    fitted("dropout", epochs=1)
    assert states() == before
    assert keras.config.dtype_policy().name == "float32"


def test_standardised_features_are_standardised_in_the_head_too() -> None:
    X, y, X_val, y_val = blobs()
    plain = fitted("dense", (X, y, X_val, y_val), epochs=1)
    moved = fitted("dense", (X * 8 + 2, y, X_val * 8 + 2, y_val), epochs=1)
    np.testing.assert_allclose(moved.head.predict_proba(X_val * 8 + 2), plain.head.predict_proba(X_val), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_standardise_by_their_training_rows_unless_told_not_to(kind: HeadKind) -> None:
    X, y, X_val, y_val = blobs()
    X, X_val = X * 40 - 7, X_val * 40 - 7
    X[..., 3], X_val[..., 3] = 5.0, 6.0  # a feature that says nothing is left at its size
    rows = X.reshape(-1, 16).astype(np.float64)
    mean, scale = rows.mean(0), rows.std(0)
    scale[3] = 1.0
    by_hand = ((X - mean) / scale).astype(np.float32), y, ((X_val - mean) / scale).astype(np.float32), y_val
    ours = fitted(kind, (X, y, X_val, y_val), epochs=3)
    theirs = fitted(kind, by_hand, epochs=3, standardize=False)
    assert set(ours.head.arrays) - set(theirs.head.arrays) == {"mean", "scale"}
    for name, array in theirs.head.arrays.items():
        np.testing.assert_array_equal(ours.head.arrays[name], array)
        assert ours.head.arrays[name].dtype == np.float32
    assert epochs_of(ours) == epochs_of(theirs)
    np.testing.assert_allclose(ours.head.predict_proba(X_val), theirs.head.predict_proba(by_hand[2]), atol=1e-5)


def test_standardised_networks_do_not_mind_how_large_features_are() -> None:
    """Where the paper's way gets nowhere, or overflows."""
    X, y, X_val, y_val = blobs(distance=4.0)
    for factor in (1e-3, 1.0, 1e3):
        data = X * np.float32(factor), y, X_val * np.float32(factor), y_val
        assert epochs_of(fitted("dense", data, epochs=5))[-1]["val_accuracy"] > 0.9
    lost = fitted("dense", (X * np.float32(1e-3), y, X_val * np.float32(1e-3), y_val), epochs=5, standardize=False)
    assert epochs_of(lost)[-1]["val_accuracy"] < 0.9


def test_divergence_names_the_remedy() -> None:
    X, y, X_val, y_val = blobs()
    data = X * 1000, y, X_val, y_val
    with pytest.raises(InputError, match=r"dense head diverged in epoch \d.*learning rate 10 .*`standardize=True`"):
        fitted("dense", data, epochs=5, learning_rate=10.0, standardize=False)
    with pytest.raises(InputError, match=r"learning rate 999 .*Try a tenth of it\."):
        fitted("dense", data, epochs=5, learning_rate=999.0)


def test_an_interrupt_passes_through() -> None:
    X, y, X_val, y_val = blobs()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_head(HeadSpec(kind="softmax"), TrainingSet(X, y, X_val, y_val, NAMES[:3]), interrupt)
    assert epochs_of(fitted("softmax", epochs=1))  # and the next fit is free to run

"""What anybody would write: the paper's six heads in plain Keras and plain scikit-learn, everything at its default.

As a script, all six on features in an `.npz`, in one process; it prints what its author would have wanted to see, the
accuracies. The networks may be given fewer epochs than 20: each of theirs is timed, and what the others would have
taken is told.

    python -m benchmarks.obvious FEATURES.npz --epochs 20
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import seconds_of
from cxrfeat.spec import HeadKind
from cxrfeat.types import Features, Labels

EPOCHS = 20
"""Of the paper."""

NETWORKS: tuple[HeadKind, ...] = ("softmax", "dense", "dropout")
PARTS = ("train", "validation", "test")


def network(kind: HeadKind, dim: int, classes: int, *, learning_rate: float = 0.01, seed: int | None = None) -> Any:  # noqa: ANN401  # Keras and scikit-learn have no types
    """A head as a compiled Keras model.

    Args:
        kind: Of `NETWORKS`.
        dim: Width of the features.
        classes: How many.
        learning_rate: At the start.
        seed: Of the dropout.
    """
    import keras

    layers: list[Any] = [keras.Input((dim,))]
    if kind != "softmax":
        layers.append(keras.layers.Dense(500, activation="relu"))
        if kind == "dropout":
            layers.append(keras.layers.Dropout(0.5, seed=seed))
        layers.append(keras.layers.Dense(200, activation="relu"))
    model = keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])
    rate = keras.optimizers.schedules.InverseTimeDecay(learning_rate, decay_steps=1, decay_rate=1e-6)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def classifier(kind: HeadKind) -> Any:  # noqa: ANN401  # Keras and scikit-learn have no types
    """A head as a scikit-learn pipeline, with cxrfeat's strength."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    models = {
        "logreg": lambda: LogisticRegression(C=0.1),
        "svm-linear": lambda: SVC(kernel="linear", C=0.01),
        "svm-rbf": lambda: SVC(C=1.0),
        "knn": lambda: KNeighborsClassifier(15),
        "ridge": lambda: RidgeClassifier(alpha=1000),
    }
    return make_pipeline(StandardScaler(), models[kind]())


def at_strength(kind: str, strength: float) -> Any:  # noqa: ANN401  # Keras and scikit-learn have no types
    """Logistic regression or ridge of some strength, as a scikit-learn pipeline."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Its own 100 iterations do not reach the minimum.
    model = LogisticRegression(C=strength, max_iter=5000) if kind == "logreg" else RidgeClassifier(alpha=1 / strength)
    return make_pipeline(StandardScaler(), model)


def write_parts(path: Path, X: Features, y: Labels) -> Path:
    """All views of 72 % of the images to train on, the plain view of 8 % to validate and of 20 % to test."""
    views, order = X.shape[1], np.random.default_rng(0).permutation(len(y))
    train, validation, test = np.split(order, [round(0.72 * len(y)), round(0.8 * len(y))])
    arrays = {
        "train X": X[train].reshape(-1, X.shape[2]), "train y": np.repeat(y[train], views),
        "validation X": X[validation, 0], "validation y": y[validation],
        "test X": X[test, 0], "test y": y[test],
    }  # fmt: skip
    np.savez(path, allow_pickle=False, **arrays)
    return path


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Fit all six, test them, and print one line of JSON: accuracies, and the seconds of epochs left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="real ones, of 20 (default: 20)")
    chosen = parser.parse_args(arguments)
    with np.load(chosen.features) as stored:
        (X, y), (X_val, y_val), (X_test, y_test) = ((stored[f"{part} X"], stored[f"{part} y"]) for part in PARTS)
    accuracy, left_out = {}, 0.0
    for kind in NETWORKS:
        model = network(kind, X.shape[1], int(y.max()) + 1)
        if chosen.epochs == EPOCHS:
            model.fit(X, y, batch_size=32, epochs=EPOCHS, validation_data=(X_val, y_val), verbose=0)
        else:
            epochs = [
                seconds_of(lambda: model.fit(X, y, batch_size=32, validation_data=(X_val, y_val), verbose=0))  # noqa: B023  # called at once
                for _ in range(chosen.epochs)
            ]
            left_out += (EPOCHS - chosen.epochs) * statistics.median(epochs[1:] or epochs)
        accuracy[kind] = float((model.predict(X_test, verbose=0).argmax(1) == y_test).mean())
    for kind in ("logreg", "svm-linear", "svm-rbf"):
        accuracy[kind] = float(classifier(kind).fit(X, y).score(X_test, y_test))
    told = {"accuracy": accuracy, "left_out": left_out}
    print(json.dumps(told))
    return told


if __name__ == "__main__":
    main()

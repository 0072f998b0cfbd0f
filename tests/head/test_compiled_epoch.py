"""The epoch that is compiled for a GPU trains what the one in NumPy trains; tested on the CPU, where it runs too."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.head import compiled_epoch, network_head
from cxrfeat.head.fit import Fit
from cxrfeat.spec import HeadKind
from tests.head.blobs import Blobs, blobs, fitted


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """As if there were a GPU, and every fit were worth it; how many have used it."""
    used: list[int] = []

    class Counted(compiled_epoch.CompiledEpochs):
        def __init__(self, *arguments: Any) -> None:
            used.append(len(used))
            super().__init__(*arguments)

    monkeypatch.setattr(network_head, "has_gpu", lambda: True)
    monkeypatch.setattr(network_head, "WORTH_A_GPU", 0)
    monkeypatch.setattr(network_head, "CompiledEpochs", Counted)
    yield used
    assert used


def on_cpu(kind: HeadKind, data: Blobs | None = None, **fields: Any) -> Fit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_head, "has_gpu", lambda: False)
        return fitted(kind, data, **fields)


PROTOCOLS: list[dict[str, Any]] = [
    {},
    {"schedule": "cosine", "momentum": 0.5},
    {"batch": 7, "hidden": (9,)},
    {"batch": 4096},
    {"optimizer": "adam", "learning_rate": 1e-3, "hidden": (20, 10, 5)},
    {"l2": 0.01, "decay": 0.01},
    {"label_smoothing": 0.2, "class_weights": "balanced", "views_per_epoch": 1},
    {"patience": 1, "learning_rate": 0.05, "standardize": True},
]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("softmax", {}), ("dense", {}), *[("dropout", fields) for fields in PROTOCOLS]],
    ids=lambda value: value if isinstance(value, str) else ",".join(value) or "paper",
)
def test_it_trains_the_same_head(kind: HeadKind, fields: dict[str, Any], gpu: list[int]) -> None:
    X, y, X_val, y_val = blobs()
    data = X[y.argsort()[:53]], y[y.argsort()[:53]], X_val, y_val  # a class of fewer images, and a shorter last batch
    ours, plain = fitted(kind, data, epochs=3, seed=5, **fields), on_cpu(kind, data, epochs=3, seed=5, **fields)
    assert len(gpu) == 1
    assert len(ours.history) == len(plain.history)
    for a, b in zip(ours.history, plain.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["accuracy"] == pytest.approx(b["accuracy"])
    # Adam divides by a slope's own size, and so makes rounding of small ones large.
    nearly = 5e-4 if "optimizer" in fields else 2e-5
    for one, other in zip(ours.head.arrays.values(), plain.head.arrays.values(), strict=True):
        np.testing.assert_allclose(one, other, atol=nearly)


def test_a_small_fit_is_not_worth_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_head, "has_gpu", lambda: True)
    monkeypatch.setattr(network_head, "CompiledEpochs", None)
    assert fitted("dense", epochs=1).history


def test_folds_seeds_and_protocols_share_what_is_compiled(gpu: list[int]) -> None:
    compiled_epoch._compiled.cache_clear()
    for seed, images in enumerate((100, 101, 103)):
        fitted("dense", blobs(images=images), epochs=2, seed=seed, learning_rate=0.01 / (seed + 1), decay=0.1 * seed)
    fitted("dense", blobs(images=100), epochs=1, views_per_epoch=1)
    assert compiled_epoch._compiled.cache_info().currsize == 1
    shape = compiled_epoch.Shape(layers=3, batch=32, adam=False, dropped=False, penalised=False)
    assert compiled_epoch._compiled(shape).experimental_get_tracing_count() == 1  # type: ignore[attr-defined]  # TensorFlow's


def test_mixed_precision_elsewhere_does_not_reach_the_head(gpu: list[int]) -> None:
    import keras

    plain = fitted("dense", epochs=1)
    compiled_epoch._compiled.cache_clear()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = fitted("dense", epochs=1)
    finally:
        keras.config.set_dtype_policy("float32")
    assert mixed.head.to_npz() == plain.head.to_npz()


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_jax_trains_the_same_head(tmp_path: Path) -> None:
    code = """
import sys, numpy as np
from cxrfeat.head import network_head
from cxrfeat.spec import HeadKind
from tests.head.blobs import fitted
network_head.has_gpu, network_head.WORTH_A_GPU = lambda: True, 0
heads = [fitted("dropout", epochs=3, seed=2), fitted("dense", epochs=3, optimizer="adam", l2=0.01)]
assert "jax" in sys.modules and "tensorflow" not in sys.modules
np.savez(sys.argv[1], *[array for one in heads for array in one.head.arrays.values()])
"""
    place = tmp_path / "jax.npz"
    subprocess.run([sys.executable, "-c", code, place], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    heads = [on_cpu("dropout", epochs=3, seed=2), on_cpu("dense", epochs=3, optimizer="adam", l2=0.01)]
    with np.load(place) as stored:
        theirs = [stored[name] for name in stored.files]
    for a, b in zip([array for one in heads for array in one.head.arrays.values()], theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)

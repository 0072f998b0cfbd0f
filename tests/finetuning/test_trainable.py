from __future__ import annotations

import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.engine import KerasEngine
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import UsageError
from cxrfeat.finetuning.memory import layers_of
from cxrfeat.finetuning.start import cold_head
from cxrfeat.finetuning.trainable import Trainable
from cxrfeat.metric.calibrate import softmax
from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, ViewSpec
from cxrfeat.types import Views
from tests.finetuning.small import CLASSES, Small, protocol

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def views() -> Views:
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8)


def batch(count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.eye(2, dtype=np.float32)[np.arange(count) % 2], np.ones(count, np.float32)


def learnt(small: Small, views: Views, rate: float = 0.01) -> tuple[float, float]:
    return small.trainable.learn(views, *batch(len(views)), rate)


def test_features_are_those_of_extraction_and_logits_those_of_the_head(
    phantoms: Path,
    tiny_network: Path,
    tmp_path: Path,
    views: Views,
) -> None:
    small = Small(phantoms, tiny_network, protocol(kind="dropout", dropout=0.0), tmp_path)
    features = small.trainable.features(views)
    np.testing.assert_allclose(features, KerasEngine(small.network, small.features).run(views), atol=1e-6)
    logits = small.trainable.model.predict_on_batch(views[..., np.newaxis])
    head = small.trainable.weights().head
    np.testing.assert_allclose(softmax(logits), head.predict_proba(features), atol=1e-6)


def test_a_step_is_the_one_that_keras_would_make(
    phantoms: Path,
    tiny_network: Path,
    tmp_path: Path,
    views: Views,
) -> None:
    """Against plain Keras on the same graph: same loss, same weights after three steps."""
    keras = import_keras()
    spec = protocol(kind="dense", optimizer="sgd", learning_rate=0.02, label_smoothing=0.1)
    small = Small(phantoms, tiny_network, replace(spec, clip=None), tmp_path)
    plain = small.build(replace(spec, clip=None)).model
    plain.compile(
        keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    )
    targets, weights = batch(6)
    for _ in range(3):
        ours = small.trainable.learn(views, targets, weights, 0.02)[0]
        assert ours == pytest.approx(
            plain.train_on_batch(views[..., None], targets, return_dict=True)["loss"], rel=1e-5
        )
    for mine, its in zip(small.trainable.model.weights, plain.weights, strict=True):
        np.testing.assert_allclose(np.asarray(mine.value), np.asarray(its.value), atol=1e-6)


@pytest.mark.slow
def test_rows_of_more_importance_weigh_more(
    phantoms: Path,
    tiny_network: Path,
    tmp_path: Path,
    views: Views,
) -> None:
    spec = protocol(kind="softmax", hidden=None)
    targets, ones = batch(6)
    single = [
        Small(phantoms, tiny_network, spec, tmp_path / str(row)).trainable.learn(
            views[row : row + 1], targets[row : row + 1], ones[:1], 0.0
        )[0]
        for row in range(2)
    ]
    loss, _ = Small(phantoms, tiny_network, spec, tmp_path / "both").trainable.learn(
        views[:2], targets[:2], np.array([3.0, 1.0], np.float32), 0.0
    )
    assert loss == pytest.approx((3 * single[0] + single[1]) / 2, rel=1e-5)


def test_no_step_is_longer_than_the_clip_allows(
    phantoms: Path,
    tiny_network: Path,
    tmp_path: Path,
    views: Views,
) -> None:
    spec = protocol(optimizer="sgd", momentum=0.0)
    small = Small(phantoms, tiny_network, replace(spec, clip=0.001), tmp_path)
    before = small.trainable.state()
    learnt(small, views, rate=1.0)
    moved = np.sqrt(
        sum(
            float(np.square(now.astype(float) - then).sum())
            for now, then in zip(small.trainable.state(), before, strict=True)
            if now.dtype == np.float32 and now.ndim
        )
    )
    assert moved == pytest.approx(0.001, rel=1e-3)


@pytest.mark.slow
def test_layers_before_the_named_one_stay_and_a_wrong_name_is_told_the_nearest(
    phantoms: Path,
    tiny_network: Path,
    tmp_path: Path,
    views: Views,
) -> None:
    names = [layer.name for layer in layers_of(Small(phantoms, tiny_network, protocol(), tmp_path).trainable._body)]
    last = [name for name in names if "conv" in name][-1]
    small = Small(phantoms, tiny_network, replace(protocol(), freeze_until=last), tmp_path / "frozen")
    before = small.body()
    learnt(small, views)
    changed = [not np.array_equal(one, other) for one, other in zip(before, small.body(), strict=True)]
    assert changed == [False] * (len(changed) - 2) + [True] * 2
    trained, every = small.trainable.parameters
    assert trained < every
    with pytest.raises(UsageError, match=rf"no layer '{last}x'. Did you mean {last}"):
        Small(phantoms, tiny_network, replace(protocol(), freeze_until=f"{last}x"), tmp_path / "wrong")


@pytest.mark.slow
@pytest.mark.parametrize("batchnorm", ["frozen", "trained"])
def test_batch_normalisation_stays_as_it_was_unless_asked(batchnorm: str, views: Views) -> None:
    network = find_network("scratch", size=32)
    features = FeatureSpec(backbone="scratch", weights=network.weights, preprocess="tf", view=ViewSpec(size=32))
    spec = FinetuneSpec(head=HeadSpec(kind="softmax"), batchnorm=batchnorm)  # type: ignore[arg-type]  # one of two
    trainable = Trainable(network, features, spec, lambda dim: cold_head(spec.head, dim, CLASSES))
    names = [variable.path for variable in trainable._body.weights]
    before = trainable.weights().body
    trainable.learn(views, *batch(6), 0.01)
    after = trainable.weights().body
    for name, one, other in zip(names, before, after, strict=True):
        if "_bn/" in name:
            assert np.array_equal(one, other) == (batchnorm == "frozen"), name


@pytest.mark.slow
def test_a_saved_network_is_the_same_file_for_the_same_weights_and_gives_the_same_features(
    phantoms: Path,
    tiny_network: Path,
    tmp_path: Path,
    views: Views,
) -> None:
    files = []
    for name in ("one", "two"):
        small = Small(phantoms, tiny_network, protocol(), tmp_path / name)
        learnt(small, views)
        files.append(small.trainable.saved())
    assert files[0] == files[1]
    assert not zipfile.ZipFile(BytesIO(files[0])).testzip()
    path = tmp_path / "saved.keras"
    path.write_bytes(files[0])
    network = find_network(str(path), preprocess="tf")
    again = KerasEngine(network, replace(small.features, weights=network.weights)).run(views)
    np.testing.assert_allclose(again, small.trainable.features(views), atol=1e-6)


def test_a_saved_network_is_the_same_file_whatever_was_built_before(tmp_path: Path) -> None:
    files = []
    for _ in range(2):
        network = find_network("scratch", size=32)
        features = FeatureSpec(backbone="scratch", weights=network.weights, preprocess="tf", view=ViewSpec(size=32))
        spec = FinetuneSpec(head=HeadSpec(kind="softmax"))
        files.append(
            Trainable(network, features, spec, lambda dim: cold_head(HeadSpec(kind="softmax"), dim, CLASSES)).saved()
        )
    assert files[0] == files[1]


@pytest.mark.slow
def test_half_precision_trains_and_is_saved_as_float32(
    phantoms: Path,
    tmp_path: Path,
    views: Views,
) -> None:
    network = find_network("scratch", size=32)
    features = FeatureSpec(backbone="scratch", weights=network.weights, preprocess="tf", view=ViewSpec(size=32))
    spec = FinetuneSpec(head=HeadSpec(kind="softmax"), batchnorm="trained", precision="float16")
    trainable = Trainable(network, features, spec, lambda dim: cold_head(spec.head, dim, CLASSES))
    assert type(trainable.model.optimizer).__name__ == "LossScaleOptimizer", "small slopes would be lost"
    losses = [trainable.learn(views, *batch(6), 0.01)[0] for _ in range(8)]
    assert losses[-1] < losses[0]
    path = tmp_path / "saved.keras"
    path.write_bytes(trainable.saved())
    saved = import_keras().saving.load_model(path, compile=False)
    assert {layer.dtype_policy.name for layer in saved.layers} == {"float32"}
    half, full = trainable.weights().body[0], saved.get_weights()[0]
    np.testing.assert_array_equal(half, full)


def test_a_state_of_another_network_is_refused(phantoms: Path, tiny_network: Path, tmp_path: Path) -> None:
    small = Small(phantoms, tiny_network, protocol(), tmp_path / "one")
    other = Small(phantoms, tiny_network, protocol(hidden=(9, 5)), tmp_path / "two")
    with pytest.raises(ValueError, match="another network"):
        small.trainable.set_state(other.trainable.state())

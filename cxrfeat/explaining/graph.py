"""The only place that takes graphs apart: a network cut at its feature maps, and any layer of it by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.build import load_body, prepare
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import InputError, UsageError
from cxrfeat.explaining.field import Fields, fields_of, producers, regular
from cxrfeat.explaining.gradient import gradient_of_sum
from cxrfeat.explaining.score import Score
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.given import nearest
from cxrfeat.types import Features, Views

Maps = NDArray[np.float32]
"""`(n, h, w, channels)`: what a layer gives for each cell of an even grid over the view."""

BATCH = 16
"""Views at a time; as in extraction, the last batch is padded."""


class Graph:
    """One network from uint8 views to features, cut at its last feature maps.

    Example:
        maps, features = graph.run(views)  # views (n, size, size) uint8
        scores, gradient = graph.gradient(maps, score_of(head), classes)
    """

    def __init__(self, network: Network, spec: FeatureSpec) -> None:
        """Load the network.

        Raises:
            InputError: If it gives several outputs, or none that are features.
            WeightsError, UsageError: As in `backbone.build`.
        """
        keras = import_keras()
        self.network, self.spec = network, spec
        self.body = load_body(network, spec)
        self.body.trainable = False
        if len(getattr(self.body, "outputs", None) or ()) != 1:
            raise InputError(f"{network.name} is not a graph of layers with one output, so it cannot be looked into.")
        cut, rest = _cut(keras, self.body)
        self._front = _compiled(keras, self._from_view(keras, cut))
        self._tail = _tail(keras, self._front.outputs[0], rest)
        self.has_maps = len(cut.shape) == 4
        self.fields = _in_view(cut, network.size) if self.has_maps else None
        """Where the cells of the maps lie in the view; `None` without maps."""
        self._weights: list[NDArray[Any]] = []
        self.averages = self.has_maps and rest is None
        """Whether the features are the maps averaged over space."""

    def run(self, views: Views) -> tuple[Maps, Features]:
        """Maps and pooled features of `(n, size, size)` uint8 views, from one pass."""
        maps = _run(self._front, views[..., np.newaxis])
        return maps, _run(self._tail, maps)

    def features(self, views: Views) -> Features:
        """Pooled features `(n, dim)` of `(n, size, size)` uint8 views; no more maps are kept than of one batch."""
        parts = [self.run(views[start : start + BATCH])[1] for start in range(0, len(views), BATCH)]
        return np.concatenate(parts)

    def gradient(self, maps: Maps, score: Score, classes: NDArray[np.int64]) -> tuple[NDArray[np.float32], Maps]:
        """Scores of one class for each row, and their gradient at the maps: through pooling and head."""
        keras = import_keras()
        features = _run(self._tail, maps)
        slopes = score.slopes(features, classes)

        def along_slopes(point: Any) -> Any:  # noqa: ANN401  # Keras has no types
            return keras.ops.sum(self._tail(point, training=False) * slopes, axis=1)

        values = score.values(features)[np.arange(len(classes)), classes]
        return values, gradient_of_sum(along_slopes, maps)[1]

    @property
    def layers(self) -> list[str]:
        """Names of the layers that give maps, those inside a nested model as `model/layer`."""
        return _names(self.body)

    def layer(self, name: str) -> Layer:
        """One layer, ready to run.

        Raises:
            UsageError: If there is no such layer, with the nearest name and all there are.
        """
        keras = import_keras()
        if name not in self.layers:
            raise UsageError(
                f"{self.network.name} has no layer {name!r} that gives maps.{nearest(name, self.layers)} There are "
                f"{', '.join(self.layers)}."
            )
        tensor = _reached(keras, self.body, name)
        return Layer(
            name=name,
            fields=_in_view(tensor, self.network.size),
            model=_compiled(keras, self._from_view(keras, tensor)),
        )

    def shuffle(self, rng: np.random.Generator) -> None:
        """Set every kernel to its own values in another order.

        Biases and the statistics of normalisation stay, so that the numbers keep their size.
        """
        self._weights = self.body.get_weights()
        changed = [rng.permutation(one.ravel()).reshape(one.shape) if one.ndim > 1 else one for one in self._weights]
        self.body.set_weights(changed)

    def restore(self) -> None:
        """Set the weights back as they were before `shuffle`."""
        self.body.set_weights(self._weights)

    def _from_view(self, keras: Any, tensor: Any) -> Any:  # noqa: ANN401  # Keras has no types
        size = self.network.size
        grey = keras.Input((size, size, 1), dtype="uint8", name="view")
        until = keras.Model(self.body.inputs, tensor)
        prepared = prepare(keras, grey, self.spec, channels=self.body.input_shape[-1])
        model = keras.Model(grey, keras.ops.cast(until(prepared, training=False), "float32"))
        model.trainable = False
        return model


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A layer of a network, from uint8 views to its maps."""

    name: str
    fields: Fields
    model: Any

    def run(self, views: Views) -> Maps:
        """Maps of `(n, size, size)` uint8 views."""
        return _run(self.model, views[..., np.newaxis])


def _cut(keras: Any, body: Any) -> tuple[Any, Any]:  # noqa: ANN401  # Keras has no types
    """The last maps of a network, and the model from there to its features; without maps, the features themselves."""
    output = body.outputs[0]
    if len(output.shape) == 4:
        return output, None
    for _, _, made in producers(output):
        if len(made) == 1 and len(made[0].shape) == 4 and made[0] is not body.inputs[0] and 1 not in made[0].shape[1:3]:
            try:
                return made[0], keras.Model(made[0], output)
            except ValueError:  # the features do not come from these maps alone: look further up
                continue
    return output, None


def _tail(keras: Any, maps: Any, rest: Any) -> Any:  # noqa: ANN401  # Keras has no types
    given = keras.Input(maps.shape[1:], dtype="float32", name="maps")
    features = given if rest is None else rest(given, training=False)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="features", dtype="float32")(features)
    return _compiled(keras, keras.Model(given, keras.ops.cast(features, "float32")))


def _compiled(keras: Any, model: Any) -> Any:  # noqa: ANN401  # Keras has no types
    """XLA where the backend knows nothing else: on a CPU TensorFlow's is slower, as measured for extraction."""
    model.jit_compile = keras.backend.backend() == "jax"
    return model


def _run(model: Any, rows: NDArray[Any]) -> NDArray[np.float32]:  # noqa: ANN401  # Keras has no types
    """A model's output for some rows, computed in batches of one size, so that it is compiled once."""
    parts = []
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        padded = np.pad(some, [(0, BATCH - len(some))] + [(0, 0)] * (rows.ndim - 1))
        parts.append(np.asarray(model.predict_on_batch(padded), np.float32)[: len(some)])
    return np.concatenate(parts)


def _in_view(tensor: Any, size: int) -> Fields:  # noqa: ANN401  # Keras has no types
    fields = fields_of(tensor)
    if fields is not None:
        return fields
    rows, columns = tensor.shape[1:3]
    return regular(rows or 1, size), regular(columns or 1, size)


def _names(model: Any) -> list[str]:  # noqa: ANN401  # Keras has no types
    found = []
    for layer, _, made in reversed(list(producers(model.outputs[0]))):
        if type(layer).__name__ == "InputLayer":
            continue
        if hasattr(layer, "layers") and len(layer.outputs) == 1:
            found += [f"{layer.name}/{name}" for name in _names(layer)]
        if len(made) == 1 and len(made[0].shape) == 4:
            found.append(layer.name)
    return list(dict.fromkeys(found))


def _reached(keras: Any, model: Any, name: str) -> Any:  # noqa: ANN401  # Keras has no types
    """The tensor of a layer as a function of the model's input."""
    outer, _, inner = name.partition("/")
    for layer, given, made in producers(model.outputs[0]):
        if layer.name == outer and not inner:
            return made[0]
        if layer.name == outer:
            within = keras.Model(layer.inputs, _reached(keras, layer, inner))
            return within(given[0], training=False)
    raise AssertionError(f"{name} was listed")

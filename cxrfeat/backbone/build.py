"""From a network to one Keras graph: grey uint8 views in, pooled features out.

The copy of grey to three channels and the preprocessing are layers of the graph, so one uint8 channel is all that
crosses to the device, and a converted or exported graph cannot be fed wrongly prepared pixels.
"""

from __future__ import annotations

import contextlib
import operator
import random
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from cxrfeat.backbone.filled import weights_for
from cxrfeat.backbone.network import FILE, Network
from cxrfeat.backbone.place import places_of, snake
from cxrfeat.backbone.preparing import Sign, planes_of
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.scratch import SCRATCH, scratch_body
from cxrfeat.backbone.table import find_row
from cxrfeat.errors import InputError
from cxrfeat.spec import FeatureSpec

_DO: dict[Sign, Callable[[Any, float], Any]] = {"-": operator.sub, "*": operator.mul, "/": operator.truediv}


def build(network: Network, spec: FeatureSpec) -> Any:  # noqa: ANN401  # Keras has no types
    """Build the inference graph of a network.

    Args:
        network: Which network, with which weights.
        spec: How its pixels are prepared.

    Returns:
        A Keras model: `(n, size, size, 1)` uint8 to `(n, dim)` float32.

    Raises:
        WeightsError: If the weights do not fit the network.
        InputError: If a user's own model cannot be loaded, or gives no features.
    """
    keras = import_keras()
    grey = view_input(keras, network.size)
    model = keras.Model(grey, pooled(keras, load_body(network, spec), grey, network, spec, training=False))
    model.trainable = False
    return model


def load_body(network: Network, spec: FeatureSpec) -> Any:  # noqa: ANN401  # Keras has no types
    """The network itself, with its weights: what lies between prepared pixels and pooled features.

    Returns:
        A Keras model of `(n, size, size, 1 or 3)` float32; of the table's networks, to `(n, h, w, dim)` maps.

    Raises:
        As `build`.
    """
    keras = import_keras()
    if network.backbone == FILE:
        return _own(keras, network)
    with _undisturbed(), _policy(keras, spec):
        body = bare_body(keras, network.backbone, network.size)
    places = places_of(body)
    for (_, variable), values in zip(places, weights_for(network, [place for place, _ in places]), strict=True):
        variable.assign(values)
    return body


def view_input(keras: Any, size: int) -> Any:  # noqa: ANN401  # Keras has no types
    """Where views come in: `(n, size, size, 1)` uint8."""
    return keras.Input((size, size, 1), dtype="uint8", name="view")


def pooled(keras: Any, body: Any, grey: Any, network: Network, spec: FeatureSpec, **call: Any) -> Any:  # noqa: ANN401  # Keras has no types
    """Grey views through a network to features, `(n, dim)` float32; `call` is handed on to the network.

    Raises:
        InputError: If a user's own model gives no features.
    """
    maps = body(prepare(keras, grey, spec, channels=body.input_shape[-1]), **call)
    if len(getattr(maps, "shape", ())) == 4:
        maps = keras.layers.GlobalAveragePooling2D(name="features", dtype="float32")(maps)
    shape = getattr(maps, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] is None:
        given = "several outputs" if shape is None else tuple(shape)
        raise InputError(
            f"{network.name} gives {given}: features are (images, features), or (images, h, w, features) "
            "averaged over space. Cut the network at such a layer and save it again."
        )
    return maps


def prepare(keras: Any, grey: Any, spec: FeatureSpec, *, channels: int) -> Any:  # noqa: ANN401  # Keras has no types
    """Grey uint8 to what the network reads, operation by operation as Keras's own `preprocess_input` does it."""
    planes = planes_of(keras.ops.cast(grey, "float32"), spec, channels, lambda values, sign, by: _DO[sign](values, by))
    return keras.ops.concatenate(planes, axis=-1) if channels > 1 else planes[0]


def bare_body(keras: Any, name: str, size: int) -> Any:  # noqa: ANN401  # Keras has no types
    """A network that goes by a name, for images of this many pixels a side; its weights mean nothing yet."""
    if name == SCRATCH:
        body = scratch_body(keras, size)
    else:
        make = getattr(keras.applications, find_row(name).constructor)
        body = make(weights=None, include_top=False, input_shape=(size, size, 3))  # what one prepares goes by its name
    _name_afresh(body)
    return body


def _name_afresh(body: Any) -> None:  # noqa: ANN401  # Keras has no types
    """Name layers as in a process that builds nothing else.

    Keras counts the layers that have no name of their own over all networks of a process (`conv2d_94`), so their names,
    the weights that are drawn for them, and the file that a network is saved to, would depend on what was built before.
    """
    counted: dict[str, list[tuple[int, Any]]] = {}
    for layer in body.layers:
        prefix = snake(type(layer).__name__)
        if found := re.fullmatch(rf"{prefix}(?:_(\d+))?", layer.name):
            counted.setdefault(prefix, []).append((int(found[1] or 0), layer))
    for prefix, numbered in counted.items():
        first = min(number for number, _ in numbered)
        for number, layer in numbered:
            layer.name = prefix if number == first else f"{prefix}_{number - first}"


def _own(keras: Any, network: Network) -> Any:  # noqa: ANN401  # Keras has no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = keras.saving.load_model(str(network.path), compile=False, safe_mode=True)
    except Exception as error:  # a stranger's file may fail in any way
        raise InputError(
            f"{network.name} cannot be loaded as a Keras model ({_first_line(error)}). Save it with this Keras "
            f"({keras.__version__}), without custom code."
        ) from error
    if not hasattr(body, "input_shape") or not isinstance(body.input_shape, tuple) or len(body.input_shape) != 4:
        raise InputError(
            f"{network.name} does not take one batch of images; its input must be (images, size, size, 3)."
        )
    if any(side not in (None, network.size) for side in body.input_shape[1:3]) or body.input_shape[3] not in (1, 3):
        raise InputError(
            f"{network.name} takes images of shape {body.input_shape[1:]}, not square ones of {network.size} px in "
            "grey or RGB. Build it for such images and save it again."
        )
    return body


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


@contextlib.contextmanager
def _policy(keras: Any, spec: FeatureSpec) -> Iterator[None]:  # noqa: ANN401  # Keras has no types
    """Build layers in the wanted arithmetic, and leave Keras's own setting as it was."""
    kept = keras.config.dtype_policy()
    whole = spec.precision not in ("float16", "bfloat16")  # others round what they multiply, and keep nothing of it
    keras.config.set_dtype_policy("float32" if whole else f"mixed_{spec.precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(kept)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave Python's own generator, which is the user's and of which Keras's initialisers are seeded, as it was."""
    kept = random.getstate()
    try:
        yield
    finally:
        random.setstate(kept)

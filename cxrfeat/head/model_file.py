"""The only writer of a network and its head as one file, to be run without this package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cxrfeat.backbone.network import Network
from cxrfeat.errors import IntegrityError
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.files import write_atomic
from cxrfeat.types import Probabilities, Progress, Views

if TYPE_CHECKING:
    import onnx

Form = Literal["onnx", "keras"]

TOLERANCE = 1e-5
"""How far a model's probabilities may be from the run's own head on the same features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a model is made of."""

    run: str
    """Its name."""
    network: Network
    spec: FeatureSpec
    head: FittedHead
    novelty: Novelty
    use: str
    """What it is for, in a sentence that the file says."""


def write_model(path: Path, form: Form, model: Made, tell: Progress) -> float:
    """Write a network and its head as one model, preprocessing and calibration inside.

    Args:
        path: Where it goes; what is there is replaced.
        form: ONNX, which tells unlike images too, or Keras.
        model: What it is made of.
        tell: Told after every step.

    Returns:
        The largest difference of its probabilities from those of the run's own head, on made-up views.

    Raises:
        MissingExtraError: If the extra onnx is not installed.
        IntegrityError: If the model does not say what the head says; nothing is written then.
        StorageError: If the disk refuses.
        WeightsError: If the network is no longer there.
    """
    tell("export", 0, 3)
    content, difference = (_as_onnx if form == "onnx" else _as_keras)(model, tell)
    write_atomic(path, content)
    tell("export", 3, 3)
    return difference


def _as_onnx(model: Made, tell: Progress) -> tuple[bytes, float]:
    from cxrfeat.backbone.onnx_engine import session_of
    from cxrfeat.backbone.standalone import whole_graph
    from cxrfeat.head.onnx_form import PROBABILITIES, with_head

    views = made_up_views(model.network.size)[..., np.newaxis]
    graph = whole_graph(model.network, model.spec)
    tell("export", 1, 3)
    wanted = model.head.predict_proba(_said(session_of(graph.SerializeToString()), None, views))
    whole = with_head(graph, model.head, model.novelty)
    _describe(whole, model)
    content = whole.SerializeToString()
    said = _said(session_of(content), PROBABILITIES, views)
    tell("export", 2, 3)
    return content, _checked(model.run, said, wanted)


def _said(session: Any, output: str | None, views: Views) -> Any:  # noqa: ANN401  # ONNX Runtime has no types
    """An output of a model for views, one at a time as some networks take them."""
    given, wanted = session.get_inputs()[0].name, None if output is None else [output]
    return np.concatenate([session.run(wanted, {given: view[np.newaxis]})[0] for view in views])


def _describe(whole: onnx.ModelProto, model: Made) -> None:
    """What the file says of itself to whoever opens it."""
    from onnx import helper

    size, classes = model.network.size, model.head.classes
    whole.doc_string = (
        f"{model.use} {size} x {size} grey pixels (uint8, one channel last) to calibrated probabilities of "
        f"{', '.join(classes)}, and whether the image is unlike those it was trained on."
    )
    told = {"classes": json.dumps(classes), "size": str(size), "run": model.run, "use": model.use}
    helper.set_model_props(whole, told)


def _as_keras(model: Made, tell: Progress) -> tuple[bytes, float]:
    from cxrfeat.backbone.build import build
    from cxrfeat.backbone.quiet import import_keras
    from cxrfeat.backbone.saved import keras_bytes
    from cxrfeat.head.keras_form import with_head

    keras, views = import_keras(), made_up_views(model.network.size)[..., np.newaxis]
    body = build(model.network, model.spec)
    tell("export", 1, 3)
    features = np.asarray(body.predict_on_batch(views))
    whole = with_head(keras, body, model.head)
    said = np.asarray(whole.predict_on_batch(views))
    tell("export", 2, 3)
    difference = _checked(model.run, said, model.head.predict_proba(features))
    return keras_bytes(whole), difference


def _checked(run: str, said: Probabilities, wanted: Probabilities) -> float:
    """How far a model is from the run's own head.

    Raises:
        IntegrityError: If that is too far.
    """
    difference = float(np.abs(said - wanted).max())
    if not difference <= TOLERANCE:
        raise IntegrityError(
            f"The model's output differs from that of {run} (by {difference:.2g}), so it was not written. Share a "
            "head of another kind, and report this."
        )
    return difference


def made_up_views(size: int) -> Views:
    """Four views to compare by, `(4, size, size)`: noise, a slope, a disc, and one that is all grey.

    Args:
        size: Height and width, in pixels.
    """
    across = np.linspace(0, 255, size)
    rows, columns = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    noise = np.random.default_rng(0).integers(0, 256, (size, size))
    slope = np.broadcast_to((across[:, None] + across) / 2, (size, size))
    disc = np.where(rows**2 + columns**2 < 0.5, 180, 40)
    return np.stack([noise, slope, disc, np.full((size, size), 128)]).astype(np.uint8)

"""The CPU engine: a network converted to ONNX once, then run by ONNX Runtime without Keras or TensorFlow.

The only place that knows ONNX. The converted graph, preprocessing included, is kept in the user cache under everything
its numbers depend on. tf2onnx's own optimisers take most of a conversion's time and ONNX Runtime does not need them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from cxrfeat.backbone.engine import in_batches
from cxrfeat.backbone.network import Network, backend
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.files import replace_atomic, user_cache
from cxrfeat.spec import FeatureSpec, canonical_json
from cxrfeat.types import Features, Views

REVISION = 1
"""Raise when a conversion comes to give another graph."""

OPSET = 18


def installed() -> bool:
    """Whether the extra `onnx` is there."""
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "onnx", "tf2onnx"))


def converted_path(network: Network, spec: FeatureSpec) -> Path:
    """Where the converted graph is kept: named by all that decides its numbers."""
    decides = {
        "backbone": network.backbone,
        "weights": network.weights,
        "size": network.size,
        "preprocess": spec.preprocess,
        "normalize": spec.normalize,
        "mean": spec.mean,
        "std": spec.std,
        "revision": REVISION,
        "opset": OPSET,
        "tf2onnx": importlib.metadata.version("tf2onnx"),
    }
    name = hashlib.sha256(canonical_json(decides).encode()).hexdigest()
    return user_cache() / "onnx" / f"{network.name}-{name[:32]}.onnx"


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    name = "onnx"

    def __init__(self, network: Network, spec: FeatureSpec, batch: int, threads: int = 0) -> None:
        """Load the converted network, converting it first where that has not been done.

        Args:
            network: Which network, with which weights.
            spec: How its pixels are prepared.
            batch: Views per batch, at least 2: a lone row would take another path and differ in its last bits.
            threads: Threads of one operation; 0 is as many as there are cores.

        Raises:
            MissingExtraError: If the extra is not installed.
            UsageError: If the network must be converted and Keras runs on another backend than TensorFlow.
        """
        if not installed():
            raise MissingExtraError(
                "--engine onnx needs the extra onnx: pip install 'cxrfeat[onnx]'. Or leave --engine out."
            )
        import onnxruntime

        path = converted_path(network, spec)
        if not path.is_file():
            convert(network, spec, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.batch = max(batch, 2)
        self.dim = int(self._session.get_outputs()[0].shape[1])

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order."""
        return in_batches(views, self.batch, self.dim, lambda batch: self._session.run(None, {self._input: batch})[0])


def convert(network: Network, spec: FeatureSpec, path: Path) -> None:
    """Convert a network with its preprocessing, and keep the graph at `path`.

    Raises:
        UsageError: If Keras runs on another backend than TensorFlow.
    """
    if backend() != "tensorflow":
        raise UsageError(
            f"--engine onnx converts {network.name} with TensorFlow, and Keras runs on {backend()}. "
            "Convert it once with KERAS_BACKEND=tensorflow, or use --engine keras."
        )
    from cxrfeat.backbone.build import build

    import_keras()
    model = build(network, spec)
    import tensorflow
    from tf2onnx import convert as converter

    signature = [tensorflow.TensorSpec((None, network.size, network.size, 1), tensorflow.uint8, name="view")]
    function = tensorflow.function(lambda view: model(view, training=False))
    with _without_optimisers():
        proto, _ = converter.from_function(function, input_signature=signature, opset=OPSET)
    content = proto.SerializeToString()
    replace_atomic(path, lambda place: _write(place, content))


def _write(place: Path, content: bytes) -> None:
    place.write_bytes(content)


@contextlib.contextmanager
def _without_optimisers() -> Iterator[None]:
    """Leave out the passes that copy all weights a dozen times: 9 instead of 40 s for ResNet50, measured.

    tf2onnx has no switch for it.
    """
    from tf2onnx import optimizer

    kept = optimizer.optimize_graph
    optimizer.optimize_graph = lambda graph, *_, **__: graph
    try:
        yield
    finally:
        optimizer.optimize_graph = kept

"""The engine `onnx`: ONNX Runtime on the CPU, without Keras or TensorFlow. The only place that knows ONNX.

tf2onnx's own optimisers take most of a conversion's time, and ONNX Runtime does not need them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxrfeat.backbone.converted import Converter
from cxrfeat.backbone.engine import in_batches
from cxrfeat.system.files import write_atomic
from cxrfeat.types import Features, Views

GRAPH = "graph.onnx"

OPSET = 18


class OnnxEngine:
    """A converted network in ONNX Runtime."""

    name = "onnx"

    def __init__(self, folder: Path, batch: int, threads: int = 0) -> None:
        """Load the network in `folder`.

        Args:
            folder: Where it was converted to.
            batch: Views per batch, at least 2: a lone row would take another path and differ in its last bits.
            threads: Threads of one operation; 0 is as many as there are cores.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.batch = max(batch, 2)
        self.dim = int(self._session.get_outputs()[0].shape[1])

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order."""
        return in_batches(views, self.batch, self.dim, lambda batch: self._session.run(None, {self._input: batch})[0])


def _write(model: Any, size: int, folder: Path) -> None:  # noqa: ANN401  # Keras has no types
    import tensorflow
    from tf2onnx import convert

    signature = [tensorflow.TensorSpec((None, size, size, 1), tensorflow.uint8, name="view")]
    function = tensorflow.function(lambda view: model(view, training=False))
    with _without_optimisers():
        proto, _ = convert.from_function(function, input_signature=signature, opset=OPSET)
    write_atomic(folder / GRAPH, proto.SerializeToString())


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


ONNX = Converter(
    name=OnnxEngine.name,
    packages=("onnxruntime", "onnx", "tf2onnx"),
    distribution="tf2onnx",
    revision=2,
    write=_write,
    load=OnnxEngine,
)

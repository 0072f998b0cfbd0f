"""The engine `onnx`: ONNX Runtime, without Keras or TensorFlow. The only place that knows it.

tf2onnx's own optimisers take most of a conversion's time, and ONNX Runtime does not need them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxrfeat.backbone.converted import Converter, Source
from cxrfeat.backbone.engine import CPU_BATCH, in_batches, out_of_memory
from cxrfeat.backbone.filled import Filled
from cxrfeat.backbone.onnx_graph import GRAPH
from cxrfeat.system.files import write_atomic
from cxrfeat.types import Features, Views

OPSET = 18

CUDA = "CUDAExecutionProvider"
"""ONNX Runtime's own name of NVIDIA's GPUs."""


class OnnxEngine:
    """A converted network in ONNX Runtime: on an NVIDIA GPU where its package for that is there, else on the CPU."""

    name = "onnx"

    def __init__(self, source: Source, batch: int, threads: int = 0) -> None:
        """Load a network.

        Args:
            source: Where it was converted to, or what it is made of.
            batch: Views per batch, at least 2: a lone row would take another path and differ in its last bits. On a
                CPU fewer of large views, and one where a network takes one image at a time.
            threads: Threads of one operation; 0 is as many as there are cores.
        """
        graph = source.serialized() if isinstance(source, Filled) else str(source / GRAPH)
        self._session = session_of(graph, threads)
        given = self._session.get_inputs()[0]
        self._input = given.name
        self.batch = 1 if given.shape[0] == 1 else max(2, min(batch, _most(given.shape[1])))
        self.dim = int(self._session.get_outputs()[0].shape[1])

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order."""
        while True:
            try:
                return in_batches(views, self.batch, self.dim, self._step)
            except Exception as error:  # ONNX Runtime has no exception of its own for it
                if not out_of_memory(error) or self.batch <= 2:
                    raise
                self.batch //= 2

    def _step(self, batch: Views) -> Features:
        features: Features = self._session.run(None, {self._input: batch})[0]
        return features


def _most(size: int) -> int:
    """Views of this many pixels a side that a batch holds on a CPU: a transformer's of 518 px take half a GB each."""
    return CPU_BATCH * _NATIVE**2 // size**2 if size > _LARGE and not has_cuda() else 2**31


_NATIVE, _LARGE = 224, 299
"""Sizes of views in pixels: what most networks take, and the largest of which a batch holds as many."""


def session_of(graph: str | bytes, threads: int = 0) -> Any:  # noqa: ANN401  # ONNX Runtime has no types
    """A graph, loaded: the file of one, or its bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # In full: TF32 would round what is multiplied. Algorithms are not chosen by timing them, which moves the last bits.
    exact = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    providers: list[Any] = [(CUDA, exact)] if has_cuda() else []
    return onnxruntime.InferenceSession(graph, options, providers=[*providers, "CPUExecutionProvider"])


def has_cuda() -> bool:
    """Whether ONNX Runtime computes on an NVIDIA GPU here."""
    if not any(Path(sign).exists() for sign in ("/proc/driver/nvidia/version", "/dev/nvidia0")):
        return False
    import onnxruntime

    return CUDA in onnxruntime.get_available_providers()


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
    take=lambda folder: None,
    load=OnnxEngine,
)

"""The engine `openvino`: OpenVINO on the CPU, without Keras or TensorFlow. The only place that knows OpenVINO.

It is fastest with one view at a time in as many streams as it likes, and computes the same bits for a view whatever the
streams are.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import importlib.metadata
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone import onnx_graph
from cxrfeat.backbone.converted import Converter, Source
from cxrfeat.backbone.engine import Pending
from cxrfeat.backbone.filled import Filled
from cxrfeat.system.files import check_space, remove
from cxrfeat.types import Features, Views

GRAPH = "graph.xml"


class OpenvinoEngine:
    """A converted network in OpenVINO."""

    name = "openvino"

    def __init__(self, source: Source, batch: int, threads: int = 0, *, bfloat16: bool = False) -> None:
        """Load a network.

        Args:
            source: Where it was converted to, or what it is made of.
            batch: Views that are handed over together.
            threads: Threads of all streams together; 0 is as many as there are cores.
            bfloat16: Multiply numbers rounded to 8 bits, where float32 has 24; the CPU must have that.
        """
        openvino = import_openvino()
        model = read(source)
        # In float32 unless asked: by itself it takes bfloat16 where the CPU has it, and is off by 0.6 %.
        precision = "bf16" if bfloat16 else "f32"
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        compiled = the_core().compile_model(model, "CPU", settings)
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep)
        # A thread that has not quite returned from `_keep` when Python ends would abort the process.
        weakref.finalize(self, self._queue.wait_all)
        self.batch = batch
        self.dim = int(compiled.output(0).shape[1])

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order."""
        return self.begin(views).result()

    def begin(self, views: Views) -> Pending:
        """Hand over a batch; returns when the last of it has found a stream, so that none is idle between two."""
        made = _Batch(len(views), self.dim, self._queue.wait_all)
        for row, view in enumerate(views):
            self._queue.start_async({0: view[np.newaxis, ..., np.newaxis]}, (made, row))
        return made


class _Batch:
    """The features of a batch, which come one by one from several threads."""

    def __init__(self, rows: int, dim: int, wait_all: Callable[[], None]) -> None:
        self._features = np.empty((rows, dim), dtype=np.float32)
        self._left, self._wait_all = rows, wait_all
        self._changed = threading.Condition()

    def keep(self, row: int, features: NDArray[np.float32]) -> None:
        """Take those of one view."""
        self._features[row] = features
        with self._changed:
            self._left -= 1
            self._changed.notify_all()

    def result(self) -> Features:
        """Wait for them all."""
        with self._changed:
            there = self._changed.wait_for(lambda: not self._left, timeout=_PATIENCE)
        if not there:
            self._wait_all()  # raises what a stream met, of which nobody is told otherwise
            with self._changed:
                assert self._changed.wait_for(lambda: not self._left, timeout=_PATIENCE), "OpenVINO lost a view"
        return self._features

    def cancel(self) -> bool:
        """Nothing: all of it is begun."""
        return False


_PATIENCE = 10.0
"""Seconds after which OpenVINO is asked what is the matter."""


def _keep(request: Any, place: tuple[_Batch, int]) -> None:  # noqa: ANN401  # OpenVINO has no types
    made, row = place
    made.keep(row, request.get_output_tensor(0).data[0])


def import_openvino() -> Any:  # noqa: ANN401  # OpenVINO has no types
    """OpenVINO, without the part of it that reports its use to its makers: cxrfeat talks to nobody."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is "cannot be imported"
        _load_newest_tbb()
    import openvino

    return openvino


@functools.cache
def the_core() -> Any:  # noqa: ANN401  # OpenVINO has no types
    """The one core of the process, kept to its end.

    A core gives the thread a stack for signals, and takes it back when it goes. Of two, the one that goes last puts the
    other's back, which is gone: the next Ctrl-C or SIGTERM then ends the process with a segmentation fault (seen with
    2026.4.1).
    """
    return import_openvino().Core()


def has_bfloat16() -> bool:
    """Whether the CPU multiplies numbers of bfloat16 (AVX512-BF16, AMX), as OpenVINO sees it."""
    return "BF16" in the_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _load_newest_tbb() -> None:
    """Load the threading library of scikit-learn-intelex before OpenVINO loads the older one that it brings.

    A process has one of them, the first: with OpenVINO's, scikit-learn-intelex cannot be imported any more, and SVMs
    would train nine times slower; with the newer one both work.
    """
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, OSError):
        for file in importlib.metadata.files("tbb") or ():
            if file.name in ("libtbb.so.12", "tbb12.dll"):
                ctypes.CDLL(str(Path(str(file.locate())).resolve()), mode=ctypes.RTLD_GLOBAL)


def _write(model: Any, size: int, folder: Path) -> None:  # noqa: ANN401  # Keras has no types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about the structure of the input
        graph = import_openvino().convert_model(model)
    _save(graph, 5 * model.count_params(), folder)


def read(source: Source, *, mapped: bool = True) -> Any:  # noqa: ANN401  # OpenVINO has no types
    """A network as OpenVINO's own graph, for one view at a time.

    Args:
        source: Where it was converted to, or what it is made of; that must not be changed.
        mapped: Whether weights in a file stay there, and come as they are used.
    """
    if isinstance(source, Filled):
        model = _made(source)
    else:
        the_core().set_property({"ENABLE_MMAP": mapped})
        try:
            model = the_core().read_model(source / GRAPH)
        finally:
            the_core().set_property({"ENABLE_MMAP": True})
    model.reshape([1, *model.input(0).partial_shape[1:]])
    return model


def _made(filled: Filled) -> Any:  # noqa: ANN401  # OpenVINO has no types
    """OpenVINO's graph, whose weights are the very arrays: read as if they were given, and put in place then."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(filled.graph)
    for one in [*bare.graph.initializer]:
        if one.name in filled.weights:
            bare.graph.input.append(onnx.helper.make_tensor_value_info(one.name, one.data_type, one.dims))
            bare.graph.initializer.remove(one)
    openvino = import_openvino()
    model = the_core().read_model(bare.SerializeToString())
    for name, values in filled.weights.items():
        parameter = model.input(name).get_node()
        constant = openvino.op.Constant(values, shared_memory=True)
        constant.set_friendly_name(name)
        for taker in parameter.output(0).get_target_inputs():
            taker.replace_source_output(constant.output(0))
        model.remove_parameter(parameter)
    _fold(model)
    return model


def _fold(graph: Any) -> None:  # noqa: ANN401  # OpenVINO has no types
    """Compute what depends on constants alone, such as shapes; else that is done each time it is loaded."""
    from openvino.passes import ConstantFolding, Manager

    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(graph)


def _take(folder: Path) -> None:
    """Have OpenVINO's own form of an ONNX graph in its place, which is loaded faster."""
    files = list(folder.iterdir())
    graph = the_core().read_model(folder / onnx_graph.GRAPH)
    _fold(graph)
    _save(graph, sum(path.stat().st_size for path in files), folder)
    for path in files:
        remove(path)


def _save(graph: Any, size: int, folder: Path) -> None:  # noqa: ANN401  # OpenVINO has no types
    openvino = import_openvino()
    check_space(folder, size)
    try:
        openvino.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    except RuntimeError as error:  # "iostream error"
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from error


OPENVINO = Converter(
    name=OpenvinoEngine.name,
    packages=("openvino", "onnx"),
    distribution="openvino",
    revision=1,
    write=_write,
    take=_take,
    load=OpenvinoEngine,
    load_bfloat16=functools.partial(OpenvinoEngine, bfloat16=True),
)

"""Engines run a network over batches of views; extraction knows them by this protocol alone.

Every engine computes in one fixed batch shape and pads the last batch, so that a row's features do not depend on how
many rows came with it. A batch can be begun while those before it are still computed, so that nothing waits.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.build import build
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import arithmetic, has_gpu, import_keras, keep_compiled
from cxrfeat.errors import UsageError
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Undrawn, Views

if TYPE_CHECKING:
    from cxrfeat.backbone.drawing import Drawing

CPU_BATCH = 16
"""Views per batch on a CPU, where larger ones are no faster."""

STREAMED_BATCH = 64
"""Views handed to an engine that computes each by itself, several at a time: at the end of a batch some wait."""

GPU_BATCH = 256
"""Views per batch on a GPU to begin with; halved until it fits."""


IN_FLIGHT = 3
"""Batches that are begun and not asked for yet, at most: one is computed, one waits for it, one is fetched."""


class Pending(Protocol):
    """The features of a batch, on their way."""

    def result(self) -> Features:
        """Wait for them: `(n, dim)` float32, in the order of the views."""
        ...

    def cancel(self) -> bool:
        """Drop the batch if nothing of it is begun; whether it is dropped."""
        ...


class Engine(Protocol):
    """A network, loaded and ready."""

    name: str
    dim: int
    batch: int

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order."""
        ...


@runtime_checkable
class Streaming(Engine, Protocol):
    """An engine that can be given a batch while it still computes those before it."""

    def begin(self, views: Views) -> Pending:
        """Hand over a batch of at most `batch` views; it must not change until its features are there."""
        ...


class Handing:
    """Hands batches to one engine, of whichever kind, so that none waits for the features of another.

    An engine that can only be waited for is waited for in a thread. To be used in a `with` block.
    """

    def __init__(self, engine: Engine) -> None:
        """Take an engine; nothing is begun yet."""
        self._engine = engine
        self._thread = None if isinstance(engine, Streaming) else one_thread()
        self._pending: deque[Pending] = deque()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was not begun, and leave no thread behind."""
        for one in self._pending:
            one.cancel()
        self._pending.clear()
        if self._thread is not None:
            self._thread.shutdown(wait=True)

    def begin(self, views: Views | Sequence[Undrawn]) -> list[Features]:
        """Hand over a batch of at most the engine's own size.

        Returns:
            The features of the batch that was begun `IN_FLIGHT - 1` batches before; of none in the beginning.
        """
        if not isinstance(views, np.ndarray):
            assert isinstance(self._engine, KerasEngine)  # nobody else says that it draws
            self._pending.append(self._engine.begin_undrawn(views))
        elif isinstance(self._engine, Streaming):
            self._pending.append(self._engine.begin(views))
        else:
            assert self._thread is not None
            self._pending.append(self._thread.submit(self._engine.run, views))
        return [self._pending.popleft().result()] if len(self._pending) >= IN_FLIGHT else []

    def rest(self) -> Iterator[Features]:
        """The features of the batches that are still on their way, in their order."""
        while self._pending:
            yield self._pending.popleft().result()


EngineFactory = Callable[[Network, FeatureSpec, int, int], Engine]
"""Makes an engine from a network, its features' description, the batch size, and the number of threads."""


class KerasEngine:
    """Keras's own inference, on whichever backend Keras runs."""

    name = "keras"

    def __init__(self, network: Network, spec: FeatureSpec, batch: int = CPU_BATCH, threads: int = 0) -> None:
        """Load the network.

        Args:
            network: Which network, with which weights.
            spec: How its pixels are prepared.
            batch: Views per batch.
            threads: Threads of one operation; 0 leaves it to the backend. Takes effect only where the backend is not
                loaded yet: sums in another order differ in their last bits, so a resumed extraction asks for its own.

        Raises:
            UsageError: If the features are of arithmetic that this machine does not have.
        """
        check_precision(spec)
        if threads:
            os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
        keras = import_keras()
        model = build(network, spec)
        self._at_once = keras.backend.backend() == "jax"
        if self._at_once:
            keep_compiled()
            self._step = _compiled_by_jax(model)
        else:
            model.jit_compile = False  # XLA made one of the five networks four times slower on a CPU
            self._step = model.predict_on_batch
        self._behind = one_thread()
        self._drawing: Drawing | None = None
        self._precision = spec.precision
        self.batch = batch
        self.dim = int(model.output_shape[-1])

    def begin(self, views: Views) -> Pending:
        """Hand over a batch of at most `batch` views, while those before it are computed; it must not change."""
        if not self._at_once:
            return self._behind.submit(self.run, views)
        return _OnDevice(len(views), lambda: self._step(self._padded(views)), lambda: self.run(views), self)

    def begin_undrawn(self, parts: Sequence[Undrawn]) -> Pending:
        """Hand over images whose views are drawn on the device, at most `batch` of them together; for JAX alone.

        The features are those of the same views drawn before, bit for bit: the network is the same program.
        """
        if self._drawing is None:
            from cxrfeat.backbone.drawing import Drawing

            self._drawing = Drawing()
        draw, batch = self._drawing, self.batch
        return _OnDevice(
            sum(len(one) for one in parts),
            lambda: self._step(draw(parts, batch)),
            lambda: self.run(np.concatenate([np.asarray(draw([one], len(one)))[..., 0] for one in parts])),
            self,
        )

    def begun(self, rows: int, step: Callable[[], Any]) -> Any:  # noqa: ANN401  # Keras has no types
        """What a step gives, still on the device; `None` where its memory does not do."""
        if rows > self.batch:  # it was halved since the batch was cut
            return None
        try:
            with arithmetic(self._precision):
                made = step()
            made.copy_to_host_async()
        except Exception as error:  # as in `run`
            if not out_of_memory(error):
                raise
            return None
        return made

    def _padded(self, views: Views) -> Views:
        return padded(views[..., np.newaxis], self.batch)

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order.

        Raises:
            UsageError: If the device has too little memory for a single view.
        """
        while True:
            try:
                with arithmetic(self._precision):
                    return in_batches(views, self.batch, self.dim, self._step)
            except Exception as error:  # each backend says "out of memory" with an exception of its own; others go on
                if not out_of_memory(error):
                    raise
                if self.batch == 1:
                    raise UsageError(
                        "The device has too little memory for one view of this network. Close other programs on it, "
                        "pass a smaller `size`, or compute on the CPU with `engine=openvino` or onnx."
                    ) from error
                self.batch //= 2


def _compiled_by_jax(model: Any) -> Callable[[Views], Any]:  # noqa: ANN401  # Keras has no types
    """The network as a function that returns at once, while the device computes.

    Keras's own `predict_on_batch` waits for the device, and brings every weight there and back around each batch.
    """
    import jax

    weights = [
        [variable.value for variable in part] for part in (model.trainable_variables, model.non_trainable_variables)
    ]
    call = jax.jit(lambda trainable, others, views: model.stateless_call(trainable, others, views, training=False)[0])
    return lambda views: call(*weights, views)


def in_batches(views: Views, size: int, dim: int, step: Callable[[Views], Any]) -> Features:
    """Features of `(n, side, side)` views by a function of `(size, side, side, 1)`; the last batch is padded.

    A batch is handed over before the features of the one before it are asked for: a device need not wait for this.
    """
    features = np.empty((len(views), dim), dtype=np.float32)
    made: tuple[int, Any] | None = None
    for start in range(0, len(views), size):
        before, made = made, (start, step(padded(views[start : start + size, ..., np.newaxis], size)))
        _keep(features, before)
    _keep(features, made)
    return features


def padded(batch: NDArray[Any], size: int) -> NDArray[Any]:
    """A batch of `size` rows: zeros follow where there are fewer."""
    if len(batch) == size:
        return batch
    return np.pad(batch, [(0, size - len(batch)), *[(0, 0)] * (batch.ndim - 1)])


def one_thread() -> ThreadPoolExecutor:
    """Where an engine whose call waits for its result computes one batch after the other; begun when it is used."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")


def check_precision(spec: FeatureSpec) -> None:
    """Check that this machine has the arithmetic of some features.

    Raises:
        UsageError: If they are of a GPU's own and there is none.
    """
    if spec.precision == "tf32" and not has_gpu():
        raise UsageError(
            "`precision=tf32` is arithmetic of GPUs (NVIDIA's since 2020), and Keras sees none here: a CPU cannot "
            "compute these features. Use a machine with one, or features of `precision=float32`."
        )


class _OnDevice:
    """Features of one batch that a device computes; where its memory does not do, they are made another way."""

    def __init__(
        self, rows: int, step: Callable[[], Any], otherwise: Callable[[], Features], engine: KerasEngine
    ) -> None:
        self._rows, self._otherwise = rows, otherwise
        self._made = engine.begun(rows, step)

    def result(self) -> Features:
        made, self._made = self._made, None
        if made is not None:
            try:
                return np.asarray(made, dtype=np.float32)[: self._rows]
            except Exception as error:  # as in `KerasEngine.run`
                if not out_of_memory(error):
                    raise
        return self._otherwise()

    def cancel(self) -> bool:
        return False


def _keep(features: Features, made: tuple[int, Any] | None) -> None:
    """Put the features of a batch, which begins at a row, where they belong."""
    if made is not None:
        start, found = made
        rows = features[start : start + len(found)]
        rows[:] = np.asarray(found)[: len(rows)]


def out_of_memory(error: Exception) -> bool:
    """Whether a backend means that its device's memory is full: each says so with an exception of its own."""
    text = f"{type(error).__name__} {error}".lower()
    signs = "resource_exhausted", "resourceexhausted", "out of memory", "outofmemory", "failed to allocate memory"
    return any(sign in text for sign in signs)

"""The only place that knows how a batch is shared between several GPUs, by TensorFlow or by JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.quiet import has_gpu, import_keras


class Devices:
    """Where a network is trained: one device, or several that each take a part of every batch."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        """Find them.

        Args:
            names: As Keras lists them (`gpu:0`); `None` is every GPU there is, or else the CPU.
        """
        keras = import_keras()
        if names is None:
            names = keras.distribution.list_devices("gpu") if has_gpu() else []
        self.count = max(1, len(names))
        self._strategy: Any = None
        self._distribution: Any = None
        if self.count > 1 and keras.backend.backend() == "tensorflow":
            import tensorflow

            self._strategy = tensorflow.distribute.MirroredStrategy(list(names))
        elif self.count > 1:
            self._distribution = keras.distribution.DataParallel(devices=list(names))

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Within it variables are made, and batches computed, for all the devices."""
        scoped = self._strategy or self._distribution
        return scoped.scope() if scoped is not None else contextlib.nullcontext()

    def shared(self, batch: Sequence[NDArray[Any]], importance: NDArray[np.float32]) -> list[Any]:
        """A batch as Keras takes it: its arrays and the importance of its rows, in equal parts for the devices.

        Where the rows do not come out even, the last ones are given once more with an importance of 0, and the others
        one that is so much greater that the mean loss stays what it was.
        """
        rows = len(importance)
        lacking = -rows % self.count
        if lacking:
            again = np.resize(np.arange(rows), rows + lacking)
            importance = np.concatenate([importance, np.zeros(lacking, np.float32)])
            importance *= np.float32((rows + lacking) / rows)
            batch = [array[again] for array in batch]
        arrays = [*batch, importance]
        if self._strategy is None:
            return arrays
        import tensorflow

        parts = [[tensorflow.constant(part) for part in np.split(array, self.count)] for array in arrays]
        return [
            self._strategy.experimental_distribute_values_from_function(
                lambda context, of=of: of[context.replica_id_in_sync_group]
            )
            for of in parts
        ]

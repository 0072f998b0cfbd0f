"""Views drawn by JAX against Pillow's: `python -m tests.backbone.drawing_worker VIEWS NETWORK`; prints what differs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.backbone.drawing import Drawing
from cxrfeat.backbone.engine import KerasEngine
from cxrfeat.backbone.network import find_network
from cxrfeat.types import Undrawn, Views
from cxrfeat.view.apply import drawn
from cxrfeat.view.device import undrawn
from tests.backbone.networks import described
from tests.view.cases import case

BATCH = 32


def cases(count: int, start: int, size: int | None = None) -> tuple[list[Undrawn], Views]:
    found = [case(seed, size) for seed in range(start, start + count)]
    tables = [undrawn(*one) for one in found]
    return [one for one in tables if one is not None], np.concatenate([drawn(*one) for one in found])


def main(views: int, path: Path) -> None:
    draw, other = Drawing(), 0
    for start in range(0, views // 4, BATCH // 4):
        size = (16, 31, 32, 47)[start // 8 % 4]
        parts, wanted = cases(BATCH // 4, start, size)
        other += int((np.asarray(draw(parts, BATCH))[..., 0] != wanted).any(axis=(1, 2)).sum())
    network = find_network(str(path), preprocess="tf")
    engine = KerasEngine(network, described(network), BATCH)
    parts, wanted = cases(7, 0, 32)
    begun = [engine.begin_undrawn(parts), engine.begin(wanted)]
    plain = engine.run(wanted)
    same = all(np.array_equal(one.result(), plain) for one in begun)
    engine._step = _small(engine._step, BATCH // 2)
    again = engine.begin_undrawn(parts).result()
    halved = bool(np.allclose(again, plain, rtol=1e-5, atol=1e-6))
    print(json.dumps({"views": views, "other": other, "features": same, "halved": halved, "batch": engine.batch}))


def _small(step: Callable[[Any], Any], most: int) -> Callable[[Any], Any]:
    def too_small(batch: Any) -> Any:
        if len(batch) > most:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12345678 bytes")
        return step(batch)

    return too_small


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

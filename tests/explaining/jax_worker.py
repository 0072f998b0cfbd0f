"""Run by `test_jax.py` in a process whose Keras is on JAX: prints evidence as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.backbone.network import find_network
from cxrfeat.explaining.heat import gradcam
from cxrfeat.explaining.score import score_of
from cxrfeat.spec import HeadKind
from tests.explaining.nets import graph_of, head_of, views

KINDS: tuple[HeadKind, ...] = ("logreg", "dense", "svm-rbf")


def evidence(network: Path) -> dict[str, Any]:
    graph = graph_of(find_network(str(network), preprocess="tf"))
    maps, _ = graph.run(views(2))
    found: dict[str, Any] = {}
    for kind in KINDS:
        _, gradient = graph.gradient(maps, score_of(head_of(kind)), np.array([0, 2]))
        found[kind] = gradcam(maps, gradient).tolist()
    return found


if __name__ == "__main__":
    print(json.dumps(evidence(Path(sys.argv[1]))))

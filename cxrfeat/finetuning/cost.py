"""What one network costs on this machine: it is run for about a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cxrfeat.backbone.network import find_network
from cxrfeat.finetuning.start import cold_head
from cxrfeat.finetuning.trainable import Trainable
from cxrfeat.spec import FinetuneSpec, HeadSpec, ViewSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one network costs on this machine, in images per second, measured."""

    forward: float
    training: float | None
    """`None` where nothing trains it."""


def measure_network(backbone: str, size: int, *, training: bool, seconds: float = 1.0) -> Cost:
    """Run a network with random weights.

    Args:
        backbone: A name of the backbone table, or `scratch`.
        size: Height and width of the views.
        training: Whether it is trained too.
        seconds: For it, and again for its training.
    """
    network = find_network(backbone, weights="random", size=size)
    spec = network.described(ViewSpec(size=size))
    batch = 8  # a larger one is hardly faster on a CPU
    protocol = FinetuneSpec(head=HeadSpec(kind="dropout", batch=batch), batchnorm="trained")
    classes = ("A", "B", "C")
    trainable = Trainable(network, spec, protocol, lambda dim: cold_head(protocol.head, dim, classes))
    views = np.zeros((batch, size, size), np.uint8)
    targets, ones = np.eye(3, dtype=np.float32)[np.zeros(batch, int)], np.ones(batch, np.float32)
    forward = _rate(lambda: trainable.features(views), batch, seconds)
    rate = _rate(lambda: trainable.learn(views, targets, ones, 0.0), batch, seconds) if training else None
    return Cost(forward=forward, training=rate)


def _rate(work: Callable[[], object], images: int, seconds: float) -> float:
    work()  # the first call builds the graph
    start, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start < seconds:
        work()
        done += images
    return done / (time.perf_counter() - start)

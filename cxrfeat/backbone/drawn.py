"""Random weights: drawn for each place of a network by itself, by the rules of Keras's initialisers.

They depend on the seed and on the place alone: not on engine, backend, order, or version of any library. The bits come
from PCG64, whose stream NumPy keeps (that of its distributions it does not), and become numbers here.
"""

from __future__ import annotations

import functools
import hashlib
import math
import statistics
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.place import Place

REVISION = 1
"""Raised when the same seed comes to give other weights."""

_STEPS = 2**16
"""Equally likely values of a truncated normal distribution."""

_AT_ONCE = 2**15
"""Weights that are drawn together; divisible by how many are made of one number of PCG64."""

_WITHIN = 0.87962566103423978
"""Standard deviation of the normal distribution between -2 and 2, which Keras makes up for."""


def random_identity(seed: int) -> str:
    """What decides random weights, as in `FeatureSpec.weights`."""
    return f"random:seed={seed},rev={REVISION}"


def draw(place: Place, seed: int) -> NDArray[np.float32]:
    """The weights of one place before any training.

    Args:
        place: What it is called, its shape, and the rule.
        seed: Seed of the network.

    Example:
        >>> kernel = Place("conv/kernel", "layers/conv2d/vars/0", (2, 2), "variance_scaling 1 fan_avg uniform")
        >>> [round(value, 3) for value in draw(kernel, seed=0).ravel().tolist()]
        [0.94, -0.965, 0.69, 0.573]

    Source: Glorot & Bengio 2010, equation 16; He et al. 2015, section 2.2; the factors are those of Keras.
    """
    rule, *given = place.start.split(" ")
    if rule == "variance_scaling":
        scale, mode, distribution = given
        deviation = math.sqrt(float(scale) / max(1.0, _fan(place.shape, mode)))
        spread = _uniform if distribution == "uniform" else _truncated_normal
        return spread(place, seed, deviation).reshape(place.shape)
    value = {"zeros": 0.0, "ones": 1.0}[rule] if rule != "constant" else float(given[0])
    return np.full(place.shape, value, np.float32)


def _fan(shape: tuple[int, ...], mode: str) -> float:
    """Inputs or outputs of one unit, or their average."""
    window = math.prod(shape[:-2])
    fans = {"fan_in": shape[-2] * window, "fan_out": shape[-1] * window}
    return fans[mode] if mode in fans else sum(fans.values()) / 2


def _uniform(place: Place, seed: int, deviation: float) -> NDArray[np.float32]:
    """Uniform around 0, in steps that float32 has."""
    middle, step = np.float32(2**23 - 0.5), np.float32(deviation * math.sqrt(3.0) / 2**23)

    def to_numbers(bits: NDArray[np.unsignedinteger], values: NDArray[np.float32]) -> None:
        values[:] = bits >> np.uint32(8)  # 24 bits, as many as float32 keeps
        values -= middle
        values *= step

    return _filled(place, seed, "<u4", to_numbers)


def _truncated_normal(place: Place, seed: int, deviation: float) -> NDArray[np.float32]:
    """Normal around 0, cut at two deviations of what it would be uncut."""
    quantiles = (_quantiles() * (deviation / _WITHIN)).astype(np.float32)

    def to_numbers(bits: NDArray[np.unsignedinteger], values: NDArray[np.float32]) -> None:
        np.take(quantiles, bits, out=values, mode="clip")  # which leaves out a copy; none is out of range

    return _filled(place, seed, "<u2", to_numbers)


@functools.cache
def _quantiles() -> NDArray[np.float64]:
    normal = statistics.NormalDist()
    low = normal.cdf(-2.0)
    return np.array([normal.inv_cdf(low + (1 - 2 * low) * (step + 0.5) / _STEPS) for step in range(_STEPS)])


def _filled(
    place: Place, seed: int, kind: str, to_numbers: Callable[[NDArray[np.unsignedinteger], NDArray[np.float32]], None]
) -> NDArray[np.float32]:
    """A number for each weight, made of random bits; some at a time, which is twice as fast as all at once."""
    words = np.frombuffer(hashlib.sha256(place.name.encode()).digest(), "<u4")
    source = np.random.PCG64(np.random.SeedSequence([seed, *words.tolist()]))
    each = 8 // np.dtype(kind).itemsize
    values = np.empty(place.size, np.float32)
    for start in range(0, place.size, _AT_ONCE):
        part = values[start : start + _AT_ONCE]
        bits = source.random_raw(-(-part.size // each)).astype("<u8", copy=False).view(kind)
        to_numbers(bits[: part.size], part)
    return values

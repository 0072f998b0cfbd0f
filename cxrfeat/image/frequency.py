"""The lowest frequencies of portraits, so weighted that chance pairs agree in none, and what turning does to them."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.alignment import COARSE, Planes, along, details, sampling
from cxrfeat.image.appearance import PORTRAIT
from cxrfeat.system.ahead import Ahead

FREQUENCIES = 10
"""Of a portrait, in each direction."""
HALF = FREQUENCIES // 2
REVERSALS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)
"""Signs of the quarters (even even, even odd, odd even, odd odd) under the first four symmetries."""

_CHANCE = 30
_AT_ONCE = 128


def weights_of(portraits: NDArray[np.uint8], frequencies: Planes) -> Planes:
    """`(100, 100)`: weights of the lowest frequencies of the details, by which chance pairs agree in none.

    What all images share (lungs, spine), and what zoom and shift change, counts little. Turning commutes with the
    weighting, and inverting with all of it.

    Source: whitening by the covariance within a class as in linear discriminant analysis (Fisher 1936), the class
    being the images that zoom and shift make of one.
    """
    count, scatter = len(portraits), _scatter(frequencies)
    # Few images do not show what all share: as if some of pure chance were among them.
    even = np.eye(len(scatter)) * np.trace(scatter) / len(scatter)
    scatter = (count * scatter + _CHANCE * even) / (count + _CHANCE)
    moves = [
        sampling(np.array([zoom], np.float32), np.array([shift], np.float32))[0]
        for zoom, shift in ((0.06, 0.0), (-0.06, 0.0), (0.0, 1.2), (0.0, -1.2))
    ]
    parts = ((moved, start) for moved in moves for start in range(0, count, _AT_ONCE))
    with Ahead(
        partial(_moved_scatters, portraits, frequencies), parts
    ) as found:  # added in one order, whoever is first
        for each, scatters in found:
            for one in scatters:
                scatter += 3 / 8 * each / count * one
    scatter += 1e-3 * even
    values, vectors = np.linalg.eigh(scatter)
    white: Planes = ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)
    return white


def _moved_scatters(
    portraits: NDArray[np.uint8], frequencies: Planes, part: tuple[Planes, int]
) -> tuple[int, list[NDArray[np.float64]]]:
    """How many of some pictures there are, and what moving them does to their frequencies, downwards and across."""
    moved, start = part
    own, still = portraits[start : start + _AT_ONCE].astype(np.float32), frequencies[start : start + _AT_ONCE]
    return len(own), [_scatter(cosines(planes) - still) for planes in (moved @ own, own @ moved.T)]


def _scatter(frequencies: Planes) -> NDArray[np.float64]:
    """`(100, 100)`: mean product of each two frequencies, over the images in all their symmetries.

    Under the four reversals, products of an even and an odd frequency cancel, and all others stay.
    """
    flat = frequencies.reshape(len(frequencies), -1).astype(np.float64)
    odd = np.arange(FREQUENCIES) % 2
    kinds = (2 * odd[:, None] + odd).ravel()
    kept = (flat.T @ flat) * (kinds[:, None] == kinds)
    swapped = kept.reshape((FREQUENCIES,) * 4).transpose(1, 0, 3, 2).reshape(kept.shape)
    scatter: NDArray[np.float64] = (kept + swapped) / (2 * len(frequencies))
    return scatter


def cosines(planes: NDArray[np.uint8] | Planes) -> Planes:
    """`(n, 10, 10)`: the lowest frequencies of the planes' details, downwards and across."""
    return along(COSINE, details(planes, COARSE), COSINE)


def whitened(frequencies: Planes, weights: Planes) -> Planes:
    """`(n, 10, 10)`: the same weighted, and each of length 1."""
    white = frequencies.reshape(len(frequencies), -1) @ weights
    white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-9)
    return white.reshape(frequencies.shape)


def tangents(portraits: NDArray[np.uint8], weights: Planes) -> Planes:
    """`(n, 5, 100)`: the weighted frequencies, and what a little of zoom and shift, downwards and across, adds to them.

    The former are of length 1, and the latter are as many times what they are without this.
    """
    fine = details(portraits, COARSE)
    parts = [along(down, fine, across) for down, across in _MOVES]
    white = np.stack(parts, axis=1).reshape(len(portraits), len(_MOVES), -1) @ weights
    length = np.maximum(np.linalg.norm(white[:, :1], axis=2, keepdims=True), 1e-9)
    return white / length  # type: ignore[no-any-return]  # NumPy types a quotient as Any


def agreement(tangents: Planes, others: NDArray[np.float32]) -> NDArray[np.float32]:
    """How alike pictures can become by zoom and shift, as far as their weighted frequencies say.

    Args:
        tangents: `(n, 5, 100)`, as `tangents` makes them.
        others: `(n, 100)` weighted frequencies of what each is held against, of about length 1.

    Returns:
        `(n,)`: 0 to 1, the correlation with the other, or with its inverse, of the one moved to agree best.

    Source: the tangent distance of Simard et al. 1993, section 2, one-sided.
    """
    still = (tangents[:, 0] * others).sum(axis=1)
    others = others * np.where(still < 0, -1, 1).astype(np.float32)[:, None]
    normal = tangents @ tangents.swapaxes(1, 2) + _HELD
    by = np.linalg.solve(normal, tangents @ others[..., None])[..., 0]
    by[:, 1:] = np.clip(by[:, 1:] / np.maximum(by[:, :1], 0.2), -_FAR, _FAR)
    by[:, 0] = 1
    moved = (by[:, None] @ tangents)[:, 0]
    agreement: NDArray[np.float32] = (moved * others).sum(axis=1) / np.maximum(np.linalg.norm(moved, axis=1), 1e-9)
    return agreement


def turn_cosines(frequencies: Planes, symmetry: int) -> Planes:
    """The cosines of the turned planes: an odd frequency backwards is its negative."""
    signs = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
    frequencies = frequencies.swapaxes(1, 2) if symmetry & 4 else frequencies
    frequencies = frequencies * signs[:, None] if symmetry & 2 else frequencies
    return frequencies * signs if symmetry & 1 else frequencies


def quarters(planes: Planes) -> Planes:
    """`(4, n, 25)`: even and odd frequencies, downwards and across, apart: even even, even odd, odd even, odd odd."""
    apart = planes.reshape(-1, HALF, 2, HALF, 2).transpose(2, 4, 0, 1, 3)
    return apart.reshape(4, len(planes), -1)


def together(quarters: Planes) -> Planes:
    """`(n, 10, 10)`: what `quarters` took apart."""
    apart = quarters.reshape(2, 2, -1, HALF, HALF).transpose(2, 3, 0, 4, 1)
    return apart.reshape(-1, FREQUENCIES, FREQUENCIES)


def _cosine_matrix(frequencies: int, side: int) -> NDArray[np.float64]:
    """`(frequencies, side)`: the lowest rows of the DCT-II."""
    frequency, place = np.mgrid[:frequencies, :side]
    matrix: NDArray[np.float64] = np.cos(np.pi * frequency * (2 * place + 1) / (2 * side))
    return matrix


COSINE = _cosine_matrix(FREQUENCIES, PORTRAIT).astype(np.float32)


def _slope(zoom: float, shift: float) -> Planes:
    """`(10, 40)`: what moving a line of cells so much adds to its cosines, about."""
    more, less = (
        sampling(np.array([sign * zoom], np.float32), np.array([sign * shift], np.float32)) for sign in (1, -1)
    )
    slope: Planes = COSINE @ (more[0] - less[0]) / 2
    return slope


_ZOOM, _SHIFT = _slope(0.03, 0.0), _slope(0.0, 0.6)
_MOVES = (COSINE, COSINE), (_ZOOM, COSINE), (COSINE, _ZOOM), (_SHIFT, COSINE), (COSINE, _SHIFT)
_FAR = 2.5
"""Times of these moves to which what they add is about as much times."""
_HELD = 0.02 * np.diag([0, 1, 1, 1, 1]).astype(np.float32)

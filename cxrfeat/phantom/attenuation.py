"""What each ray passes on its way through a patient: the only place that knows how dense tissues are.

Attenuation 1.0 is the thickness of the chest in soft tissue.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from cxrfeat.phantom.anatomy import Anatomy, Field, Lesion
from cxrfeat.phantom.exposure import Pose
from cxrfeat.phantom.plane import Plane, frequency, step, unit_deviation


def attenuate(anatomy: Anatomy, at: Field, pose: Pose, lesions: list[Lesion]) -> Plane:
    """`(h, w)` attenuation along the ray through each pixel."""
    air = _air(at)
    texture = _texture(anatomy, pose)
    opaque = np.zeros_like(air)
    for lesion in lesions:
        u, v = (at.x - lesion.x) / lesion.rx, (at.y - lesion.y) / lesion.ry
        d2 = u * u + v * v
        where = np.nonzero(d2 < 1)
        u, v, d, grain = u[where], v[where], np.sqrt(d2[where]), texture[where]
        ragged = d * (1 + np.clip(0.09 * grain + 0.04, 0, 0.3))  # only ever inward, so it stays in its ellipse
        body = step(1 - lesion.edge / 2 - ragged, lesion.edge / 2)
        if lesion.fissure:
            body *= step(lesion.fissure * (v - 0.25 * u) + 0.55, 0.12)
        opaque[where] = np.maximum(opaque[where], np.minimum(lesion.strength * body * (1 + 0.10 * grain), 1))
    haze = anatomy.haze * step(at.y - 0.2, 0.25)
    inside = 0.56 * air * (1 - opaque) * (1 - haze) * (1 - 0.05 * texture)
    total: Plane = _soft(anatomy, at) - inside + _vessels(anatomy, at, air) + _bones(anatomy, at)
    return total


def _air(at: Field) -> Plane:
    """Depth of air, 1 in mid-lung."""
    apex = np.sqrt(np.clip((at.y + 0.66) / 0.30, 0, 1))
    air = np.zeros_like(at.x)
    for sign, inner, below in zip((-1, 1), at.inner, at.below, strict=True):
        q = np.clip((sign * at.x - inner) / np.maximum(at.outer - inner, 1e-3), 0, 1)
        # Behind the dome the lung goes on downward, and shows through the liver as a faint dark veil.
        above = 1 - step(below, 0.008)
        air += np.sqrt(4 * q * (1 - q)) * (above + (1 - above) * 0.17 * (1 - step(below - 0.07, 0.07)))
    air *= apex
    air *= 1 - 0.72 * (1 - step(at.heart - 1, 0.10))
    air *= 1 - 0.75 * (1 - step(at.aorta - 1, 0.15))
    off = np.abs(at.x + 0.008)
    trachea = step(0.034 - off, 0.014) * (1 - step(at.y + 0.20, 0.06))
    bronchi = np.exp(-(((at.y + 0.20 - 0.75 * off) / 0.03) ** 2)) * (1 - step(off - 0.13, 0.05))
    air += 0.30 * trachea + 0.13 * bronchi
    return air


def _soft(anatomy: Anatomy, at: Field) -> Plane:
    """Body, arms, mediastinum, heart, abdomen and breasts."""
    x, y, ax = at.x, at.y, at.ax
    stout = 0.07 * anatomy.fat
    half = 0.235 + 0.03 * anatomy.fat + 0.86 * step(y + 0.74, 0.20) - (0.36 - stout) * step(y + 0.22, 0.30)
    thick = 0.66 + 0.30 * step(y + 0.62, 0.25) + 0.16 * step(y - 0.42, 0.25)
    share = ax / half
    body = thick * np.sqrt(np.maximum(1 - share * share * np.sqrt(share), 0))
    arm_x = 0.97 + stout + 0.10 * (y + 0.5)
    arm = 0.52 * np.sqrt(np.maximum(1 - ((ax - arm_x) / 0.165) ** 2, 0)) * step(y + 0.50, 0.12)
    total: Plane = np.maximum(body, arm)
    spread = 0.115 + 0.05 * step(y + 0.45, 0.3) - 0.03 * step(y + 0.75, 0.1)
    total += 0.15 * np.exp(-(((x / spread) ** 2) ** 2))
    total += 0.27 * np.sqrt(np.maximum(1 - at.heart, 0))
    total += 0.13 * np.sqrt(np.maximum(1 - at.aorta, 0))
    under = np.where(x > 0, at.below[1], at.below[0])
    total += 0.13 * step(under, 0.012) * (1 - step(ax - anatomy.width - 0.02, 0.03))
    if anatomy.breast:
        r = ((ax - 0.40) / 0.27) ** 2 + ((y - 0.20) / 0.27) ** 2
        total += anatomy.breast * np.sqrt(np.maximum(1 - r, 0)) * step(y + 0.02, 0.25)
    if anatomy.bubble:
        r = ((x - 0.27) / 0.13) ** 2 + ((y - anatomy.sides[1].dome - 0.16) / 0.10) ** 2
        total -= anatomy.bubble * np.sqrt(np.maximum(1 - r, 0))
    return total


def _bones(anatomy: Anatomy, at: Field) -> Plane:
    """Ribs, spine, collar bones, shoulder blades and upper arms."""
    x, y, ax = at.x, at.y, at.ax
    reach = step(y + 0.68, 0.05) * (1 - step(y - 0.66, 0.12))
    spacing = anatomy.rib_step * (1 + 0.16 * (y + 0.2))
    behind = (y - anatomy.rib_drop * ax * (0.10 + 0.78 * ax * ax)) / spacing + anatomy.rib_phase
    front = (y + anatomy.rib_drop * 0.52 * (ax - 0.25)) / spacing + anatomy.rib_phase + 0.35
    ribs = 0.085 * _bone(behind - np.rint(behind), 0.235) * step(ax - 0.07, 0.02)
    ribs += 0.055 * _bone(front - np.rint(front), 0.27) * step(ax - 0.29, 0.07) * step(y + 0.45, 0.12)
    ribs *= 1 - step(ax - at.outer - 0.025, 0.018)
    ribs += 0.075 * np.exp(-(((ax - at.outer - 0.018) / 0.020) ** 2))  # seen edge on
    total = ribs * reach

    mid = x - anatomy.scoliosis * np.sin(3 * y)
    disc = np.cos(2 * np.pi * (y / (0.105 + 0.02 * y) + anatomy.rib_phase))
    inside = 0.070 + 0.010 * y - np.abs(mid)
    total += (0.11 + 0.035 * disc) * step(inside, 0.014)
    total += 0.05 * np.exp(-((mid / 0.016) ** 2)) * np.maximum(disc, 0)

    along = ax - 0.075
    line = -0.425 - 0.26 * along + 0.028 * np.sin(2 * np.pi * along / 0.62)
    total += 0.155 * _bone(y - line, 0.029) * step(along, 0.015) * (1 - step(along - 0.66, 0.02))

    medial, lateral = ax - 0.60 - 0.10 * (y + 0.2), 0.93 - 0.52 * (y + 0.45) - ax
    blade = step(medial, 0.03) * step(lateral, 0.05) * step(y + 0.50, 0.05)
    total += blade * (0.05 + 0.05 * np.exp(-((medial / 0.02) ** 2)) + 0.07 * np.exp(-((lateral / 0.03) ** 2)))
    head = np.maximum(1 - ((ax - 0.93) / 0.095) ** 2 - ((y + 0.53) / 0.10) ** 2, 0)
    shaft = _bone(ax - 0.985 - 0.10 * (y + 0.5), 0.050) * step(y + 0.50, 0.05)
    total += 0.22 * np.maximum(np.sqrt(head), shaft)
    return anatomy.bone * total


def _bone(distance: Plane, half_width: float) -> Plane:
    """Across a long bone: a plateau with denser rims, 0 outside."""
    ratio = np.abs(distance) / half_width
    return 0.62 * step(1 - ratio, 0.22) + 0.38 * np.exp(-(((ratio - 0.78) / 0.20) ** 2))


def _vessels(anatomy: Anatomy, at: Field, air: Plane) -> Plane:
    """Vessels that fan out from the roots of the lungs, and the roots themselves."""
    total = np.zeros_like(air)
    for side in anatomy.sides:
        where = np.nonzero((side.sign * at.x > 0.05) & (air > 0.02))  # an eighth of the pixels, so eight times faster
        u = side.sign * at.x[where] - (0.13 if side.sign < 0 else 0.15)
        v = at.y[where] - (0.0 if side.sign < 0 else -0.035)
        r = np.hypot(u, v)
        theta = np.arctan2(v, u)
        value = 0.09 * np.exp(-((u / 0.06) ** 2) - ((v / 0.12) ** 2))
        for direction, bend, start, half_width, far in side.branches.astype(np.float32):
            near = np.flatnonzero((np.abs(theta - direction) < 0.7) & (r > start))
            rn = r[near]
            off = rn * np.sin(theta[near] - direction - bend * (rn - start))
            off /= half_width * (1 - 0.55 * np.minimum(rn / 0.6, 1))
            value[near] += 0.13 * np.exp(-off * off - rn / far) * np.minimum((rn - start) / 0.04, 1)
        total[where] = 0.16 * np.tanh(value / 0.16) * np.minimum(air[where] * 1.6, 1)
    return total


def _texture(anatomy: Anatomy, pose: Pose) -> Plane:
    """Fine structure of the lungs, of mean 0 and deviation 1; it stays with the patient."""
    rng = np.random.default_rng([anatomy.texture, pose.height, pose.width])
    spectrum = np.fft.rfft2(rng.standard_normal((pose.height, pose.width), dtype=np.float32))
    plane = np.fft.irfft2(spectrum * _texture_filter(pose.height, pose.width), s=(pose.height, pose.width))
    return np.roll(plane, (round(pose.dy), round(pose.dx)), (0, 1))


@functools.lru_cache(maxsize=8)
def _texture_filter(height: int, width: int) -> Plane:
    f = frequency(height, width) * math.sqrt(height * width) / 256
    return unit_deviation(1 / (0.02 + f) ** 1.5 * np.exp(-((f / 0.22) ** 2)))

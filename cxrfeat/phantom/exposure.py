"""How a hospital takes an image: its device, how the body lies before it, and the grey values that come of it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from cxrfeat.image.resample import resized
from cxrfeat.phantom.anatomy import Anatomy, Ellipse, Lesion
from cxrfeat.phantom.plane import Plane, frequency, step, unit_deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """How one hospital's device takes and stores an image."""

    height: float  # in units of PhantomSpec.size
    width: float
    field: float  # half-height seen, in body coordinates
    window: tuple[float, float]  # attenuation at mid-grey, and width of the tone curve
    noise: float
    blur: float  # of the detector, as a share of the pixel frequency; smaller is softer
    collimated: float  # share of images with a black border
    suffix: str


ACQUISITIONS = (
    Acquisition(
        height=1.0,
        width=1.0,
        field=0.87,
        window=(0.60, 0.30),
        noise=0.012,
        blur=0.42,
        collimated=0.1,
        suffix=".png",
    ),
    Acquisition(
        height=1.0,
        width=1.0625,
        field=0.97,
        window=(0.57, 0.34),
        noise=0.017,
        blur=0.34,
        collimated=0.35,
        suffix=".jpg",
    ),
    Acquisition(
        height=1.125,
        width=1.0,
        field=0.92,
        window=(0.62, 0.32),
        noise=0.014,
        blur=0.38,
        collimated=0.2,
        suffix=".png",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the body lies in one image."""

    height: int
    width: int
    unit: float  # pixels per body unit
    rotation: float
    dx: float  # of the body's origin from the middle of the image, in pixels
    dy: float
    exposure: float
    contrast: float
    collimation: tuple[float, float, float, float] | None = None  # black share at each side

    def body_coordinates(self) -> tuple[Plane, Plane]:
        """`(h, w)` each: where in the body the ray through each pixel goes."""
        columns = np.arange(self.width, dtype=np.float32) - np.float32((self.width - 1) / 2 + self.dx)
        rows = np.arange(self.height, dtype=np.float32)[:, None] - np.float32((self.height - 1) / 2 + self.dy)
        c, s = math.cos(self.rotation) / self.unit, math.sin(self.rotation) / self.unit
        return c * columns + s * rows, c * rows - s * columns

    def ellipse(self, lesion: Lesion) -> Ellipse:
        """The outline of an opacity, in pixels from the left and top edge."""
        c, s = math.cos(self.rotation) * self.unit, math.sin(self.rotation) * self.unit
        cx = (self.width - 1) / 2 + self.dx + c * lesion.x - s * lesion.y
        cy = (self.height - 1) / 2 + self.dy + c * lesion.y + s * lesion.x
        return round(cx, 2), round(cy, 2), round(lesion.rx * self.unit, 2), round(lesion.ry * self.unit, 2)


def draw_pose(anatomy: Anatomy, device: Acquisition, size: int, rng: np.random.Generator) -> Pose:
    """How the body lies this time."""
    height, width = round(size * device.height), round(size * device.width)
    shift = rng.normal(0, 0.012, 2)
    sides: tuple[float, float, float, float] | None = None
    if rng.random() < device.collimated:
        left, top, right, bottom = (rng.uniform(0.005, 0.045, 4) * (rng.random(4) < 0.6)).tolist()
        sides = (left, top, right, bottom)
    return Pose(
        height=height,
        width=width,
        unit=min(height, width) / 2 / device.field * anatomy.scale,
        rotation=anatomy.rotation + math.radians(rng.normal(0, 0.5)),
        dx=float(shift[0]) * size,
        dy=float(shift[1]) * size,
        exposure=rng.normal(0, 0.022),
        contrast=rng.uniform(0.92, 1.08),
        collimation=sides,
    )


def expose(attenuation: Plane, device: Acquisition, pose: Pose, rng: np.random.Generator) -> Plane:
    """`(h, w)` grey values 0-255 of what the device shows."""
    shape = attenuation.shape
    white = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    # Scattered rays lay a blurred copy over the whole: dense parts lose contrast most.
    coarse = resized(attenuation.astype(np.float32), 12, 12, "box")
    veil = resized(coarse, shape[0], shape[1], "bicubic")
    attenuation = 0.84 * attenuation + 0.16 * veil
    noise = np.fft.irfft2(white * _noise_filter(*shape, device.blur), s=shape)
    # Fewer photons pass where the body is dense, so it is grainier there; the tone curve hides much of it again.
    dose = device.noise * np.exp(0.55 * attenuation)
    middle, width = device.window
    curve = (attenuation + dose * noise - middle - pose.exposure) / (width / pose.contrast)
    grey = 1 / (1 + np.exp(-curve))
    low = 1 / (1 + math.exp(middle / width))
    value = 4 + 240 * np.clip((grey - low) / (1 - low), 0, 1.02)
    if pose.collimation is not None:
        rows = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
        columns = np.linspace(0, 1, shape[1], dtype=np.float32)
        left, top, right, bottom = pose.collimation
        seen = step(columns - left, 0.003) * step(1 - right - columns, 0.003)
        value = 3 + (value - 3) * seen * step(rows - top, 0.003) * step(1 - bottom - rows, 0.003)
    return value


@functools.lru_cache(maxsize=8)
def _noise_filter(height: int, width: int, blur: float) -> Plane:
    """Quantum noise through the detector's blur, on a floor that falls with frequency as anatomy's does."""
    f = frequency(height, width)
    return unit_deviation(np.exp(-((f / blur) ** 2)) + 0.012 / (0.01 + f))

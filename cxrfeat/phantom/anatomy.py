"""A patient of the phantom set: the body, where its organs lie, and what ails it.

Body coordinates: x to the right of the image (the patient's left), y downward, origin in mid-chest; the lungs reach
from about -0.66 to 0.66 both ways.
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxrfeat.phantom.plane import Plane
from cxrfeat.phantom.spec import PhantomSpec, chance

Ellipse = tuple[float, float, float, float]
"""`(cx, cy, rx, ry)`: centre and half axes; of a finished image in pixels, from the left and top edge."""

_Pattern = Literal["patches", "clear", "lobar"]
_NAMED: dict[str, _Pattern] = {"COVID": "patches", "NORMAL": "clear", "PNEUMONIA": "lobar"}
_UNKNOWN_SHARE = 0.08  # of the patients have no patient_id, as in the public sets


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One lung and what belongs to it."""

    sign: int  # -1 on the left of the image
    dome: float  # y of the diaphragm's top
    angle: float  # how far below the dome the outer angle lies
    branches: NDArray[np.float64]  # (vessels, 5): direction, bend, start, half-width, reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """What stays the same in every image of a patient."""

    scale: float
    rotation: float
    width: float  # half-width of the rib cage
    fat: float
    heart: float
    heart_tilt: float
    rib_phase: float
    rib_step: float
    rib_drop: float
    bone: float
    scoliosis: float
    breast: float
    haze: float  # veil over the lung bases that is no disease
    bubble: float
    sides: tuple[Side, Side]
    texture: int  # seed of the lungs' fine structure


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """An opacity in body coordinates, its strength as a share of the lung's air that it fills."""

    x: float
    y: float
    rx: float
    ry: float
    strength: float
    edge: float  # width of its rim as a share of the radius: 1.0 is soft throughout
    fissure: int = 0  # 1 where the lobe's border cuts it off above, -1 below

    def scaled(self, factor: float) -> Lesion:
        """The same place, more or less dense."""
        return replace(self, strength=self.strength * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A patient: identity, anatomy, disease."""

    known: bool
    images: int
    source: int
    sex: str
    age: int
    view_position: str
    first_visit: date
    anatomy: Anatomy
    lesions: tuple[Lesion, ...]


def images_of(spec: PhantomSpec, class_index: int, patient: int) -> int:
    """How many images this patient has: 1 to `spec.images_per_patient`."""
    person = person_of(spec, class_index, patient)
    return person.images if person.known else 1


@functools.lru_cache(maxsize=512)
def person_of(spec: PhantomSpec, class_index: int, patient: int) -> Person:
    """The patient of this number in a class; whatever else the set holds, the same one."""
    rng = chance(spec, "patient", class_index, patient)
    # Patients come to the sources in turn, so that the classes are alike to the last patient.
    last = len(spec.sources) - 1
    source = min(class_index, last) if spec.source_by_class else patient % (last + 1)
    sex = "F" if rng.random() < 0.48 else "M"
    view_position = "AP" if rng.random() < 0.35 else "PA"
    age = int(np.clip(rng.normal(56, 16), 19, 92))
    known = bool(rng.random() >= _UNKNOWN_SHARE)
    images = int(rng.integers(1, spec.images_per_patient + 1))
    first_visit = date(2019, 1, 7) + timedelta(days=int(rng.integers(0, 1100)))
    anatomy = _draw_anatomy(rng, female=sex == "F", portable=view_position == "AP")
    pattern = _NAMED.get(spec.classes[class_index].upper(), tuple(_NAMED.values())[class_index % len(_NAMED)])
    return Person(
        known=known,
        images=images,
        source=source,
        sex=sex,
        age=age,
        view_position=view_position,
        first_visit=first_visit,
        anatomy=anatomy,
        lesions=_draw_lesions(pattern, anatomy, chance(spec, "lesions", class_index, patient)),
    )


def patient_id(spec: PhantomSpec, class_index: int, patient: int) -> str:
    """A name that does not give the class away."""
    identity = f"{spec.seed}/{spec.classes[class_index]}/{patient}"
    return f"P{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def _draw_anatomy(rng: np.random.Generator, *, female: bool, portable: bool) -> Anatomy:
    breath = rng.normal(0.0, 0.035)  # a shallow breath lifts the diaphragm
    sides = []
    for sign, lower in ((-1, 0.0), (1, 0.045)):
        main = 11
        fine = 14
        directions = np.concatenate(
            [np.linspace(-1.35, 1.5, main) + rng.normal(0, 0.10, main), rng.uniform(-1.35, 1.45, fine)]
        )
        bends = rng.normal(0.0, 0.55, main + fine)
        starts = np.concatenate([np.full(main, 0.0), rng.uniform(0.05, 0.28, fine)])
        widths = np.concatenate([rng.uniform(0.010, 0.017, main), rng.uniform(0.005, 0.009, fine)])
        reaches = rng.uniform(0.16, 0.34, main + fine)
        sides.append(
            Side(
                sign=sign,
                dome=0.45 + lower + breath + rng.normal(0, 0.012),
                angle=rng.uniform(0.13, 0.19),
                branches=np.stack([directions, bends, starts, widths, reaches], axis=1),
            )
        )
    return Anatomy(
        scale=rng.normal(1.0, 0.035) * (0.97 if female else 1.01),
        rotation=math.radians(float(np.clip(rng.normal(0, 1.8), -4.5, 4.5))),
        width=0.63 + float(np.clip(rng.normal(0, 0.018), -0.04, 0.04)),
        fat=rng.uniform(0.0, 1.0),
        heart=float(np.clip(rng.normal(1.0, 0.07), 0.85, 1.18)) * (1.08 if portable else 1.0),
        heart_tilt=math.radians(rng.uniform(25, 48)),
        rib_phase=rng.uniform(0, 1),
        rib_step=rng.uniform(0.125, 0.142),
        rib_drop=rng.uniform(0.75, 1.15),
        bone=rng.uniform(0.75, 1.2),
        scoliosis=rng.normal(0, 0.010),
        breast=rng.uniform(0.04, 0.13) if female else 0.0,
        haze=rng.exponential(0.035),
        bubble=rng.uniform(0.0, 0.3) * (rng.random() < 0.6),
        sides=(sides[0], sides[1]),
        texture=int(rng.integers(2**32)),
    )


def _draw_lesions(pattern: _Pattern, anatomy: Anatomy, rng: np.random.Generator) -> tuple[Lesion, ...]:
    if pattern == "clear":
        return ()
    if pattern == "lobar":
        strength = float(np.clip(rng.lognormal(math.log(0.72), 0.35), 0.22, 1.0))
        upper, sign = rng.random() < 0.35, 1 if rng.random() < 0.42 else -1
        while not (
            place := _place(
                anatomy,
                x=sign * rng.uniform(0.24, 0.52, 12),
                y=rng.uniform(-0.36, -0.12, 12) if upper else rng.uniform(0.02, 0.34, 12),
                rx=rng.uniform(0.13, 0.25, 12),
                ry=rng.uniform(0.18, 0.30, 12),
            )
        ):
            continue  # none fits: propose others
        x, y, rx, ry = place
        return (Lesion(x=x, y=y, rx=rx, ry=ry, strength=strength, edge=0.42, fissure=-1 if upper else 1),)
    severity = float(np.clip(rng.lognormal(math.log(0.44), 0.35), 0.13, 0.70))
    signs = [-1, 1] * 3 + rng.choice([-1, 1], rng.integers(0, 3)).tolist()
    lesions = []
    for sign in signs:
        while not (
            place := _place(
                anatomy,
                y=(y_drawn := np.clip(rng.normal(0.17, 0.20, 3), -0.3, 0.46)),
                x=sign * (_outer(anatomy, y_drawn) - rng.uniform(0.09, 0.20, 3)),
                rx=rng.uniform(0.08, 0.16, 3),
                ry=rng.uniform(0.10, 0.24, 3),
            )
        ):
            continue  # none fits: propose others
        x, y, rx, ry = place
        strength = severity * rng.uniform(0.7, 1.3)
        lesions.append(Lesion(x=x, y=y, rx=rx, ry=ry, strength=strength, edge=0.75))
    return tuple(lesions)


def _place(anatomy: Anatomy, *, x: Plane, y: Plane, rx: Plane, ry: Plane) -> Ellipse | None:
    """Of the ellipses proposed, the one that is largest once shrunk until it lies within the lungs, if one does."""
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    # A hair wider than the outline, since the body may lie a few degrees turned in the image.
    across, down = 1.06 * np.cos(turn), 1.06 * np.sin(turn)
    share = np.linspace(1, 0.1, 19)[:, None, None]
    outline = survey(anatomy, x[:, None] + share * rx[:, None] * across, y[:, None] + share * ry[:, None] * down)
    inside = in_lungs(outline).all(axis=2)
    fitting = np.where(inside.any(axis=0), share[inside.argmax(axis=0), 0, 0], 0.0)
    best = int(np.argmax(fitting * fitting * rx * ry))
    if not fitting[best]:
        return None
    return float(x[best]), float(y[best]), float(fitting[best] * rx[best]), float(fitting[best] * ry[best])


@dataclass(frozen=True, slots=True)
class Field:
    """Points in body coordinates with what several structures need to know there."""

    x: Plane
    y: Plane
    ax: Plane  # distance from the midline
    outer: Plane
    heart: Plane
    aorta: Plane
    inner: tuple[Plane, Plane]  # of either side
    below: tuple[Plane, Plane]  # how far under either side's dome


def survey(anatomy: Anatomy, x: Plane, y: Plane) -> Field:
    """Where the points `(x, y)` lie in a body."""
    left, right = anatomy.sides
    return Field(
        x=x,
        y=y,
        ax=np.abs(x),
        outer=_outer(anatomy, y),
        heart=_heart(anatomy, x, y),
        aorta=_aorta(x, y),
        inner=(_inner(y, left.sign), _inner(y, right.sign)),
        below=(y - _dome(left, -x), y - _dome(right, x)),
    )


def in_lungs(at: Field) -> NDArray[np.bool_]:
    """Which points lie in the lungs as far as the heart and the diaphragm leave them in sight."""
    right_side = at.x > 0
    inner = np.where(right_side, at.inner[1], at.inner[0])
    below = np.where(right_side, at.below[1], at.below[0])
    between = (at.ax > inner) & (at.ax < at.outer) & (below < 0) & (at.y > -0.66)
    return between & (at.heart > 1) & (at.aorta > 1)


def _outer(anatomy: Anatomy, y: Plane) -> Plane:
    """Half-width of the inside of the rib cage at height y."""
    t = np.clip((y + 0.66) / 1.15, 0.0, 1.0)
    distance: Plane = 0.25 + (anatomy.width - 0.25) * np.sqrt(1 - (1 - t) ** 2.4)
    return distance


def _inner(y: Plane, sign: int) -> Plane:
    """Distance from the midline at which the lung begins, the heart left aside."""
    t = np.clip((y + 0.66) / 0.42, 0.0, 1.0)
    narrow = 0.105 if sign < 0 else 0.085
    return np.where(y < -0.66, 0.25, 0.25 - (0.25 - narrow) * np.sqrt(1 - (1 - t) ** 2))


def _dome(side: Side, distance: Plane) -> Plane:
    """Height of the diaphragm at a distance from the midline."""
    return side.dome + side.angle * ((distance - 0.29) / 0.33) ** 2


def _heart(anatomy: Anatomy, x: Plane, y: Plane) -> Plane:
    """Squared radius about the heart: below 1 inside."""
    c, s = math.cos(anatomy.heart_tilt), math.sin(anatomy.heart_tilt)
    u, v = x - 0.105, y - 0.315
    chambers = ((c * u + s * v) / (0.345 * anatomy.heart)) ** 2 + ((c * v - s * u) / (0.235 * anatomy.heart)) ** 2
    atrium = ((x + 0.055) / 0.135) ** 2 + ((y - 0.27) / 0.24) ** 2
    stem = ((x - 0.035) / 0.135) ** 2 + ((y - 0.02) / 0.30) ** 2
    return _join(_join(chambers, atrium, 0.35), stem, 0.5)


def _join(a: Plane, b: Plane, width: float) -> Plane:
    """The smaller of two, rounded where they meet."""
    mix = np.clip(0.5 + (b - a) / (2 * width), 0, 1)
    return b + (a - b) * mix - width * mix * (1 - mix)


def _aorta(x: Plane, y: Plane) -> Plane:
    """Squared radius about the arch of the aorta: below 1 inside."""
    return ((x - 0.07) / 0.085) ** 2 + ((y + 0.21) / 0.085) ** 2

"""Chest X-rays made by code alone, whose truth is known: the only place that draws anatomy.

A phantom is a sum of attenuations on a plane (body, minus the air of the lungs, plus bones, heart, vessels and
opacities), seen through the tone curve, field and noise of one hospital. No pixel comes from a patient. Everything
random is keyed by what it belongs to (seed, class, patient, image number), never by the order of drawing.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.errors import InputError, SpecError
from cxrfeat.image.resample import resized
from cxrfeat.spec import canonical_json, to_dict
from cxrfeat.system.files import make_folder, write_atomic
from cxrfeat.types import Counted

Letters = Literal["random", "class", "none"]
Ellipse = tuple[float, float, float, float]
"""`(cx, cy, rx, ry)`: centre and half axes, in pixels from the left and top edge."""
Box = tuple[int, int, int, int]
"""`(x0, y0, x1, y1)`: first column and row inside, first column and row beyond, in pixels."""

COLUMNS = ("image", "label", "patient_id", "source", "date", "sex", "age", "view_position", "mask")
"""The columns of `metadata.csv`."""

_Plane = NDArray[np.floating[Any]]
_Pattern = Literal["patches", "clear", "lobar"]
_NAMED: dict[str, _Pattern] = {"COVID": "patches", "NORMAL": "clear", "PNEUMONIA": "lobar"}
_UNKNOWN_SHARE = 0.08  # of the patients have no patient_id, as in the public sets
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSpec:
    """What a phantom set consists of.

    Example:
        >>> PhantomSpec(patients_per_class=4).classes
        ('COVID', 'NORMAL', 'PNEUMONIA')
        >>> PhantomSpec(letters="always")
        Traceback (most recent call last):
        cxrfeat.errors.SpecError: PhantomSpec.letters is random, class or none; got 'always'.
    """

    REVISION: ClassVar[int] = 1  # raise when the same fields come to mean other pixels

    classes: tuple[str, ...] = ("COVID", "NORMAL", "PNEUMONIA")
    """Class names. COVID is soft patches low and outward in both lungs, PNEUMONIA one dense lobe, NORMAL neither;
    other names take these three in turn."""

    patients_per_class: int = 40
    """Patients of each class."""

    images_per_patient: int = 3
    """A patient has from one to this many images, drawn; one of unknown identity has one."""

    size: int = 256
    """Height in pixels at the first source; the others differ by up to an eighth."""

    sources: tuple[str, ...] = ("Hospital A", "Hospital B")
    """One to three hospitals. They differ mildly in contrast, noise, field, size and file format."""

    source_by_class: bool = False
    """Whether the class decides the source (first class, first source, and so on; the last source serves all classes
    that remain). Otherwise every class has every source equally."""

    letters: Letters = "random"
    """Marker in an upper corner: on half of the images whatever the class, on exactly those of the first `class`,
    or on `none`."""

    duplicates: int = 0
    """Byte-identical copies under another name, same label, patient unknown."""

    broken: int = 0
    """Truncated PNG files, besides the others."""

    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        for name, most in (("classes", 26), ("sources", len(_ACQUISITIONS))):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not 1 <= len(values) <= most:
                raise SpecError(f"PhantomSpec.{name} is a tuple of 1 to {most} names; got {values!r}.")
            for value in values:
                if not isinstance(value, str) or not _NAME.fullmatch(value):
                    raise SpecError(
                        f"PhantomSpec.{name} holds names of letters, digits, spaces, - and _, "
                        f"64 at most, a letter or digit first; got {value!r}."
                    )
            if len({value.casefold() for value in values}) < len(values):  # they become folders
                raise SpecError(f"PhantomSpec.{name} holds a name twice, upper and lower case being one: {values!r}.")
        for name, meaning, least, most in (
            ("patients_per_class", "patients of each class", 1, 100_000),
            ("images_per_patient", "the most images of one patient", 1, 3),
            ("size", "pixels", 64, 2048),
            ("duplicates", "copies", 0, len(self.classes) * self.patients_per_class),
            ("broken", "truncated files", 0, 1000),
            ("seed", "a seed", 0, 2**63 - 1),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise SpecError(
                    f"PhantomSpec.{name} is {meaning}: a whole number from {least} to {most}; got {value!r}."
                )
        if self.letters not in get_args(Letters):
            raise SpecError(f"PhantomSpec.letters is random, class or none; got {self.letters!r}.")
        object.__setattr__(self, "source_by_class", bool(self.source_by_class))


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """One image and its truth."""

    image: NDArray[np.uint8]
    """`(h, w)`, bone bright."""
    lungs: NDArray[np.bool_]
    """`(h, w)`, true in the lungs as far as the heart and the diaphragm leave them in sight."""
    lesions: list[Ellipse]
    """Outlines of the opacities, all within the lungs; empty where there are none."""
    letter: Box | None
    """Where the marker is."""
    label: str
    patient: str | None
    """`None` where unknown."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomTruth:
    """What was planted in a set; `truth.json` holds the same. Paths are relative to the root, with `/` between."""

    images: tuple[str, ...]
    """Every readable image, copies included."""
    lesions: dict[str, list[Ellipse]]
    """The opacities of the images that have any."""
    letters: dict[str, Box]
    """The marker's place in the images that have one."""
    duplicates: tuple[tuple[str, str], ...]
    """Pairs of original and copy."""
    broken: tuple[str, ...]
    """The truncated files, which are not among `images`."""


def images_of(spec: PhantomSpec, class_index: int, patient: int) -> int:
    """How many images this patient has: 1 to `spec.images_per_patient`."""
    person = _person(spec, class_index, patient)
    return person.images if person.known else 1


def draw_phantom(spec: PhantomSpec, class_index: int, patient: int, image_number: int) -> Phantom:
    """Draw one image; the same arguments give the same pixels, whatever was drawn before.

    Args:
        spec: The set the image belongs to. How many patients, copies and broken files it has does not matter.
        class_index: Place in `spec.classes`.
        patient: Number of the patient within the class, from 0.
        image_number: Number of the image within the patient, from 0; the anatomy stays, exposure and position vary.

    Returns:
        The image, with where its lungs, opacities and marker are.

    Raises:
        IndexError: If there is no such class, or a number is negative.

    Example:
        >>> phantom = draw_phantom(PhantomSpec(size=64), class_index=1, patient=0, image_number=0)
        >>> phantom.label, phantom.image.shape, phantom.lesions
        ('NORMAL', (64, 64), [])
    """
    if not 0 <= class_index < len(spec.classes) or patient < 0 or image_number < 0:
        raise IndexError(f"no image of class {class_index}, patient {patient}, number {image_number}")
    person = _person(spec, class_index, patient)
    rng = _rng(spec, "image", class_index, patient, image_number)
    device = _ACQUISITIONS[person.source]
    pose = _draw_pose(person.anatomy, device, spec.size, rng)
    at = _survey(person.anatomy, *pose.body_coordinates())
    lesions = [lesion.scaled(rng.uniform(0.88, 1.12)) for lesion in person.lesions]
    attenuation = _attenuate(person.anatomy, at, pose, lesions)
    pixels = _expose(attenuation, device, pose, rng)
    letter = _draw_letter(spec, class_index, patient, image_number, pixels)
    return Phantom(
        image=np.rint(np.clip(pixels, 0, 255)).astype(np.uint8),
        lungs=_in_lungs(at),
        lesions=[pose.ellipse(lesion) for lesion in lesions],
        letter=letter,
        label=spec.classes[class_index],
        patient=_patient_id(spec, class_index, patient) if person.known else None,
        source=spec.sources[person.source],
    )


def write_phantoms(folder: Path, spec: PhantomSpec, progress: Counted | None = None) -> PhantomTruth:
    """Write a whole set; doing it again, also after an interruption, gives the same bytes.

    So it is on one machine with the same NumPy and Pillow; elsewhere a rare pixel may differ by one grey level.

    Images are `CLASS/images/CLASS-p001-1.png` (`.jpg` from some sources), lung masks the same name in `CLASS/masks/`.
    At the root, `metadata.csv` describes every image and `truth.json` holds the spec and what was planted.

    Args:
        folder: The root; new, empty, or holding this very set.
        spec: What to write.
        progress: Told after each image.

    Returns:
        What was planted.

    Raises:
        InputError: If `folder` holds something else.
        StorageError: If the disk refuses.
    """
    _claim(folder, spec)
    plan = list(_plan(spec))
    copied = set(sorted(plan, key=lambda item: _rng(spec, "copy", *item).random())[: spec.duplicates])
    total = len(plan) + spec.duplicates + spec.broken
    rows: list[dict[str, str]] = []
    images: list[str] = []
    lesions: dict[str, list[Ellipse]] = {}
    letters: dict[str, Box] = {}
    duplicates: list[tuple[str, str]] = []
    broken: list[str] = []

    def put(name: str, content: bytes, row: dict[str, str], mask: bytes | None = None) -> str:
        path = f"{row['label']}/images/{name}"
        write_atomic(folder / path, content)
        if mask is not None:
            row = {**row, "mask": f"{row['label']}/masks/{Path(name).stem}.png"}
            write_atomic(folder / row["mask"], mask)
        rows.append({**row, "image": path})
        if progress is not None:
            progress(len(rows), total)
        return path

    for item in plan:
        phantom, row = draw_phantom(spec, *item), _metadata(spec, *item)
        suffix = _ACQUISITIONS[_person(spec, *item[:2]).source].suffix
        content, mask = _encode(phantom.image, suffix), _encode(phantom.lungs.astype(np.uint8) * 255, ".png")
        names = [f"{phantom.label}-p{item[1] + 1:03d}-{item[2] + 1}{suffix}"]
        if item in copied:
            names.append(f"{phantom.label}-copy-{len(duplicates) + 1:02d}{suffix}")
        for name in names:
            # A copy with the patient's name would be found by the name: only the bytes may tell.
            path = put(name, content, row if name is names[0] else {**row, "patient_id": ""}, mask)
            images.append(path)
            if phantom.lesions:
                lesions[path] = phantom.lesions
            if phantom.letter is not None:
                letters[path] = phantom.letter
        if item in copied:
            duplicates.append((images[-2], images[-1]))

    for number in range(spec.broken):
        place = (number % len(spec.classes), spec.patients_per_class + number, 0)  # patients that are in no other file
        whole = _encode(draw_phantom(spec, *place).image, ".png")
        name = f"{spec.classes[place[0]]}-broken-{number + 1:02d}.png"
        broken.append(put(name, whole[: len(whole) // 2], _metadata(spec, *place)))

    truth = PhantomTruth(
        images=tuple(images), lesions=lesions, letters=letters, duplicates=tuple(duplicates), broken=tuple(broken)
    )
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(sorted(rows, key=lambda row: row["image"]))
    write_atomic(folder / "metadata.csv", text.getvalue().encode())
    write_atomic(folder / "truth.json", _truth_json(spec, asdict(truth)))
    return truth


def phantoms_written(folder: Path, spec: PhantomSpec) -> bool:
    """Whether `folder` holds this very set, complete: no file need be drawn again."""
    try:
        truth = json.loads((folder / "truth.json").read_text())
        complete = canonical_json(truth["spec"]) == canonical_json(to_dict(spec))
        return complete and all(
            (folder / name).is_file() for name in ("metadata.csv", *truth["images"], *truth["broken"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _truth_json(spec: PhantomSpec, planted: dict[str, Any]) -> bytes:
    return (json.dumps({"spec": to_dict(spec), **planted}, indent=1, sort_keys=True) + "\n").encode()


def _claim(folder: Path, spec: PhantomSpec) -> None:
    """Make `folder` this set's own, so that two sets never mix; an interrupted one may be continued."""
    truth = folder / "truth.json"
    if truth.is_file():
        try:
            stored = json.loads(truth.read_text())["spec"]
        except (ValueError, KeyError, TypeError):
            stored = None
        if canonical_json(stored) != canonical_json(to_dict(spec)):
            raise InputError(f"{folder} holds another phantom set. Choose another folder, or delete that one first.")
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"{folder} is not empty and holds no phantom set, so nothing was written there. Choose a new folder."
        )
    make_folder(folder)
    write_atomic(truth, _truth_json(spec, {}))


def _plan(spec: PhantomSpec) -> Iterator[tuple[int, int, int]]:
    for class_index in range(len(spec.classes)):
        for patient in range(spec.patients_per_class):
            for number in range(images_of(spec, class_index, patient)):
                yield class_index, patient, number


def _metadata(spec: PhantomSpec, class_index: int, patient: int, number: int) -> dict[str, str]:
    person = _person(spec, class_index, patient)
    return {
        "label": spec.classes[class_index],
        "patient_id": _patient_id(spec, class_index, patient) if person.known else "",
        "source": spec.sources[person.source],
        "date": (person.first_visit + timedelta(days=9 * number)).isoformat(),
        "sex": person.sex,
        "age": str(person.age),
        "view_position": person.view_position,
    }


def _patient_id(spec: PhantomSpec, class_index: int, patient: int) -> str:
    """A name that does not give the class away."""
    identity = f"{spec.seed}/{spec.classes[class_index]}/{patient}"
    return f"P{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def _encode(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    stream = io.BytesIO()
    if suffix == ".png":
        Image.fromarray(pixels).save(stream, "PNG", compress_level=4)
    else:
        Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def _rng(spec: PhantomSpec, purpose: str, class_index: int, *numbers: int) -> np.random.Generator:
    """Chance of its own for each purpose and thing, so that one more draw here moves nothing there."""
    return np.random.default_rng(
        [spec.seed, zlib.crc32(purpose.encode()), zlib.crc32(spec.classes[class_index].encode()), *numbers]
    )


# Body coordinates: x to the right of the image (the patient's left), y downward, origin in mid-chest; the lungs
# reach from about -0.66 to 0.66 both ways. "Attenuation" 1.0 is the thickness of the chest in soft tissue.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One lung and what belongs to it."""

    sign: int  # -1 on the left of the image
    dome: float  # y of the diaphragm's top
    angle: float  # how far below the dome the outer angle lies
    branches: NDArray[np.float64]  # (vessels, 5): direction, bend, start, half-width, reach


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anatomy:
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
    sides: tuple[_Side, _Side]
    texture: int  # seed of the lungs' fine structure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lesion:
    """An opacity in body coordinates, its strength as a share of the lung's air that it fills."""

    x: float
    y: float
    rx: float
    ry: float
    strength: float
    edge: float  # width of its rim as a share of the radius: 1.0 is soft throughout
    fissure: int = 0  # 1 where the lobe's border cuts it off above, -1 below

    def scaled(self, factor: float) -> _Lesion:
        return replace(self, strength=self.strength * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """A patient: identity, anatomy, disease."""

    known: bool
    images: int
    source: int
    sex: str
    age: int
    view_position: str
    first_visit: date
    anatomy: _Anatomy
    lesions: tuple[_Lesion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Acquisition:
    """How one hospital's device takes and stores an image."""

    height: float  # in units of PhantomSpec.size
    width: float
    field: float  # half-height seen, in body coordinates
    window: tuple[float, float]  # attenuation at mid-grey, and width of the tone curve
    noise: float
    blur: float  # of the detector, as a share of the pixel frequency; smaller is softer
    collimated: float  # share of images with a black border
    suffix: str


_ACQUISITIONS = (
    _Acquisition(
        height=1.0,
        width=1.0,
        field=0.87,
        window=(0.60, 0.30),
        noise=0.012,
        blur=0.42,
        collimated=0.1,
        suffix=".png",
    ),
    _Acquisition(
        height=1.0,
        width=1.0625,
        field=0.97,
        window=(0.57, 0.34),
        noise=0.017,
        blur=0.34,
        collimated=0.35,
        suffix=".jpg",
    ),
    _Acquisition(
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


@functools.lru_cache(maxsize=512)
def _person(spec: PhantomSpec, class_index: int, patient: int) -> _Person:
    rng = _rng(spec, "patient", class_index, patient)
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
    return _Person(
        known=known,
        images=images,
        source=source,
        sex=sex,
        age=age,
        view_position=view_position,
        first_visit=first_visit,
        anatomy=anatomy,
        lesions=_draw_lesions(pattern, anatomy, _rng(spec, "lesions", class_index, patient)),
    )


def _draw_anatomy(rng: np.random.Generator, *, female: bool, portable: bool) -> _Anatomy:
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
            _Side(
                sign=sign,
                dome=0.45 + lower + breath + rng.normal(0, 0.012),
                angle=rng.uniform(0.13, 0.19),
                branches=np.stack([directions, bends, starts, widths, reaches], axis=1),
            )
        )
    return _Anatomy(
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


def _draw_lesions(pattern: _Pattern, anatomy: _Anatomy, rng: np.random.Generator) -> tuple[_Lesion, ...]:
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
        return (_Lesion(x=x, y=y, rx=rx, ry=ry, strength=strength, edge=0.42, fissure=-1 if upper else 1),)
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
        lesions.append(_Lesion(x=x, y=y, rx=rx, ry=ry, strength=strength, edge=0.75))
    return tuple(lesions)


def _place(anatomy: _Anatomy, *, x: _Plane, y: _Plane, rx: _Plane, ry: _Plane) -> Ellipse | None:
    """Of the ellipses proposed, the one that is largest once shrunk until it lies within the lungs, if one does."""
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    # A hair wider than the outline, since the body may lie a few degrees turned in the image.
    across, down = 1.06 * np.cos(turn), 1.06 * np.sin(turn)
    share = np.linspace(1, 0.1, 19)[:, None, None]
    outline = _survey(anatomy, x[:, None] + share * rx[:, None] * across, y[:, None] + share * ry[:, None] * down)
    inside = _in_lungs(outline).all(axis=2)
    fitting = np.where(inside.any(axis=0), share[inside.argmax(axis=0), 0, 0], 0.0)
    best = int(np.argmax(fitting * fitting * rx * ry))
    if not fitting[best]:
        return None
    return float(x[best]), float(y[best]), float(fitting[best] * rx[best]), float(fitting[best] * ry[best])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pose:
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

    def body_coordinates(self) -> tuple[_Plane, _Plane]:
        columns = np.arange(self.width, dtype=np.float32) - np.float32((self.width - 1) / 2 + self.dx)
        rows = np.arange(self.height, dtype=np.float32)[:, None] - np.float32((self.height - 1) / 2 + self.dy)
        c, s = math.cos(self.rotation) / self.unit, math.sin(self.rotation) / self.unit
        return c * columns + s * rows, c * rows - s * columns

    def ellipse(self, lesion: _Lesion) -> Ellipse:
        c, s = math.cos(self.rotation) * self.unit, math.sin(self.rotation) * self.unit
        cx = (self.width - 1) / 2 + self.dx + c * lesion.x - s * lesion.y
        cy = (self.height - 1) / 2 + self.dy + c * lesion.y + s * lesion.x
        return round(cx, 2), round(cy, 2), round(lesion.rx * self.unit, 2), round(lesion.ry * self.unit, 2)


def _draw_pose(anatomy: _Anatomy, device: _Acquisition, size: int, rng: np.random.Generator) -> _Pose:
    height, width = round(size * device.height), round(size * device.width)
    shift = rng.normal(0, 0.012, 2)
    sides: tuple[float, float, float, float] | None = None
    if rng.random() < device.collimated:
        left, top, right, bottom = (rng.uniform(0.005, 0.045, 4) * (rng.random(4) < 0.6)).tolist()
        sides = (left, top, right, bottom)
    return _Pose(
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


def _outer(anatomy: _Anatomy, y: _Plane) -> _Plane:
    """Half-width of the inside of the rib cage at height y."""
    t = np.clip((y + 0.66) / 1.15, 0.0, 1.0)
    distance: _Plane = 0.25 + (anatomy.width - 0.25) * np.sqrt(1 - (1 - t) ** 2.4)
    return distance


def _inner(y: _Plane, sign: int) -> _Plane:
    """Distance from the midline at which the lung begins, the heart left aside."""
    t = np.clip((y + 0.66) / 0.42, 0.0, 1.0)
    narrow = 0.105 if sign < 0 else 0.085
    return np.where(y < -0.66, 0.25, 0.25 - (0.25 - narrow) * np.sqrt(1 - (1 - t) ** 2))


def _dome(side: _Side, distance: _Plane) -> _Plane:
    """Height of the diaphragm at a distance from the midline."""
    return side.dome + side.angle * ((distance - 0.29) / 0.33) ** 2


def _heart(anatomy: _Anatomy, x: _Plane, y: _Plane) -> _Plane:
    """Squared radius about the heart: below 1 inside."""
    c, s = math.cos(anatomy.heart_tilt), math.sin(anatomy.heart_tilt)
    u, v = x - 0.105, y - 0.315
    chambers = ((c * u + s * v) / (0.345 * anatomy.heart)) ** 2 + ((c * v - s * u) / (0.235 * anatomy.heart)) ** 2
    atrium = ((x + 0.055) / 0.135) ** 2 + ((y - 0.27) / 0.24) ** 2
    stem = ((x - 0.035) / 0.135) ** 2 + ((y - 0.02) / 0.30) ** 2
    return _join(_join(chambers, atrium, 0.35), stem, 0.5)


def _join(a: _Plane, b: _Plane, width: float) -> _Plane:
    """The smaller of two, rounded where they meet."""
    mix = np.clip(0.5 + (b - a) / (2 * width), 0, 1)
    return b + (a - b) * mix - width * mix * (1 - mix)


def _aorta(x: _Plane, y: _Plane) -> _Plane:
    """Squared radius about the arch of the aorta: below 1 inside."""
    return ((x - 0.07) / 0.085) ** 2 + ((y + 0.21) / 0.085) ** 2


@dataclass(frozen=True, slots=True)
class _Field:
    """Points in body coordinates with what several structures need to know there."""

    x: _Plane
    y: _Plane
    ax: _Plane  # distance from the midline
    outer: _Plane
    heart: _Plane
    aorta: _Plane
    inner: tuple[_Plane, _Plane]  # of either side
    below: tuple[_Plane, _Plane]  # how far under either side's dome


def _survey(anatomy: _Anatomy, x: _Plane, y: _Plane) -> _Field:
    left, right = anatomy.sides
    return _Field(
        x=x,
        y=y,
        ax=np.abs(x),
        outer=_outer(anatomy, y),
        heart=_heart(anatomy, x, y),
        aorta=_aorta(x, y),
        inner=(_inner(y, left.sign), _inner(y, right.sign)),
        below=(y - _dome(left, -x), y - _dome(right, x)),
    )


def _in_lungs(at: _Field) -> NDArray[np.bool_]:
    right_side = at.x > 0
    inner = np.where(right_side, at.inner[1], at.inner[0])
    below = np.where(right_side, at.below[1], at.below[0])
    between = (at.ax > inner) & (at.ax < at.outer) & (below < 0) & (at.y > -0.66)
    return between & (at.heart > 1) & (at.aorta > 1)


def _step(value: _Plane, width: float) -> _Plane:
    """0 below, 1 above zero, over about `width` on either side."""
    ramp = value * (0.5 / width)
    ramp += 0.5
    np.clip(ramp, 0, 1, out=ramp)
    bend = 3 - 2 * ramp
    ramp *= ramp
    ramp *= bend
    return ramp


def _bone(distance: _Plane, half_width: float) -> _Plane:
    """Across a long bone: a plateau with denser rims, 0 outside."""
    ratio = np.abs(distance) / half_width
    return 0.62 * _step(1 - ratio, 0.22) + 0.38 * np.exp(-(((ratio - 0.78) / 0.20) ** 2))


def _attenuate(anatomy: _Anatomy, at: _Field, pose: _Pose, lesions: list[_Lesion]) -> _Plane:
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
        body = _step(1 - lesion.edge / 2 - ragged, lesion.edge / 2)
        if lesion.fissure:
            body *= _step(lesion.fissure * (v - 0.25 * u) + 0.55, 0.12)
        opaque[where] = np.maximum(opaque[where], np.minimum(lesion.strength * body * (1 + 0.10 * grain), 1))
    haze = anatomy.haze * _step(at.y - 0.2, 0.25)
    inside = 0.56 * air * (1 - opaque) * (1 - haze) * (1 - 0.05 * texture)
    total: _Plane = _soft(anatomy, at) - inside + _vessels(anatomy, at, air) + _bones(anatomy, at)
    return total


def _air(at: _Field) -> _Plane:
    """Depth of air, 1 in mid-lung."""
    apex = np.sqrt(np.clip((at.y + 0.66) / 0.30, 0, 1))
    air = np.zeros_like(at.x)
    for sign, inner, below in zip((-1, 1), at.inner, at.below, strict=True):
        q = np.clip((sign * at.x - inner) / np.maximum(at.outer - inner, 1e-3), 0, 1)
        # Behind the dome the lung goes on downward, and shows through the liver as a faint dark veil.
        above = 1 - _step(below, 0.008)
        air += np.sqrt(4 * q * (1 - q)) * (above + (1 - above) * 0.17 * (1 - _step(below - 0.07, 0.07)))
    air *= apex
    air *= 1 - 0.72 * (1 - _step(at.heart - 1, 0.10))
    air *= 1 - 0.75 * (1 - _step(at.aorta - 1, 0.15))
    off = np.abs(at.x + 0.008)
    trachea = _step(0.034 - off, 0.014) * (1 - _step(at.y + 0.20, 0.06))
    bronchi = np.exp(-(((at.y + 0.20 - 0.75 * off) / 0.03) ** 2)) * (1 - _step(off - 0.13, 0.05))
    air += 0.30 * trachea + 0.13 * bronchi
    return air


def _soft(anatomy: _Anatomy, at: _Field) -> _Plane:
    """Body, arms, mediastinum, heart, abdomen and breasts."""
    x, y, ax = at.x, at.y, at.ax
    stout = 0.07 * anatomy.fat
    half = 0.235 + 0.03 * anatomy.fat + 0.86 * _step(y + 0.74, 0.20) - (0.36 - stout) * _step(y + 0.22, 0.30)
    thick = 0.66 + 0.30 * _step(y + 0.62, 0.25) + 0.16 * _step(y - 0.42, 0.25)
    share = ax / half
    body = thick * np.sqrt(np.maximum(1 - share * share * np.sqrt(share), 0))
    arm_x = 0.97 + stout + 0.10 * (y + 0.5)
    arm = 0.52 * np.sqrt(np.maximum(1 - ((ax - arm_x) / 0.165) ** 2, 0)) * _step(y + 0.50, 0.12)
    total: _Plane = np.maximum(body, arm)
    spread = 0.115 + 0.05 * _step(y + 0.45, 0.3) - 0.03 * _step(y + 0.75, 0.1)
    total += 0.15 * np.exp(-(((x / spread) ** 2) ** 2))
    total += 0.27 * np.sqrt(np.maximum(1 - at.heart, 0))
    total += 0.13 * np.sqrt(np.maximum(1 - at.aorta, 0))
    under = np.where(x > 0, at.below[1], at.below[0])
    total += 0.13 * _step(under, 0.012) * (1 - _step(ax - anatomy.width - 0.02, 0.03))
    if anatomy.breast:
        r = ((ax - 0.40) / 0.27) ** 2 + ((y - 0.20) / 0.27) ** 2
        total += anatomy.breast * np.sqrt(np.maximum(1 - r, 0)) * _step(y + 0.02, 0.25)
    if anatomy.bubble:
        r = ((x - 0.27) / 0.13) ** 2 + ((y - anatomy.sides[1].dome - 0.16) / 0.10) ** 2
        total -= anatomy.bubble * np.sqrt(np.maximum(1 - r, 0))
    return total


def _bones(anatomy: _Anatomy, at: _Field) -> _Plane:
    """Ribs, spine, collar bones, shoulder blades and upper arms."""
    x, y, ax = at.x, at.y, at.ax
    reach = _step(y + 0.68, 0.05) * (1 - _step(y - 0.66, 0.12))
    step = anatomy.rib_step * (1 + 0.16 * (y + 0.2))
    behind = (y - anatomy.rib_drop * ax * (0.10 + 0.78 * ax * ax)) / step + anatomy.rib_phase
    front = (y + anatomy.rib_drop * 0.52 * (ax - 0.25)) / step + anatomy.rib_phase + 0.35
    ribs = 0.085 * _bone(behind - np.rint(behind), 0.235) * _step(ax - 0.07, 0.02)
    ribs += 0.055 * _bone(front - np.rint(front), 0.27) * _step(ax - 0.29, 0.07) * _step(y + 0.45, 0.12)
    ribs *= 1 - _step(ax - at.outer - 0.025, 0.018)
    ribs += 0.075 * np.exp(-(((ax - at.outer - 0.018) / 0.020) ** 2))  # seen edge on
    total = ribs * reach

    mid = x - anatomy.scoliosis * np.sin(3 * y)
    disc = np.cos(2 * np.pi * (y / (0.105 + 0.02 * y) + anatomy.rib_phase))
    inside = 0.070 + 0.010 * y - np.abs(mid)
    total += (0.11 + 0.035 * disc) * _step(inside, 0.014)
    total += 0.05 * np.exp(-((mid / 0.016) ** 2)) * np.maximum(disc, 0)

    along = ax - 0.075
    line = -0.425 - 0.26 * along + 0.028 * np.sin(2 * np.pi * along / 0.62)
    total += 0.155 * _bone(y - line, 0.029) * _step(along, 0.015) * (1 - _step(along - 0.66, 0.02))

    medial, lateral = ax - 0.60 - 0.10 * (y + 0.2), 0.93 - 0.52 * (y + 0.45) - ax
    blade = _step(medial, 0.03) * _step(lateral, 0.05) * _step(y + 0.50, 0.05)
    total += blade * (0.05 + 0.05 * np.exp(-((medial / 0.02) ** 2)) + 0.07 * np.exp(-((lateral / 0.03) ** 2)))
    head = np.maximum(1 - ((ax - 0.93) / 0.095) ** 2 - ((y + 0.53) / 0.10) ** 2, 0)
    shaft = _bone(ax - 0.985 - 0.10 * (y + 0.5), 0.050) * _step(y + 0.50, 0.05)
    total += 0.22 * np.maximum(np.sqrt(head), shaft)
    return anatomy.bone * total


def _vessels(anatomy: _Anatomy, at: _Field, air: _Plane) -> _Plane:
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


def _texture(anatomy: _Anatomy, pose: _Pose) -> _Plane:
    """Fine structure of the lungs, of mean 0 and deviation 1; it stays with the patient."""
    rng = np.random.default_rng([anatomy.texture, pose.height, pose.width])
    spectrum = np.fft.rfft2(rng.standard_normal((pose.height, pose.width), dtype=np.float32))
    plane = np.fft.irfft2(spectrum * _texture_filter(pose.height, pose.width), s=(pose.height, pose.width))
    return np.roll(plane, (round(pose.dy), round(pose.dx)), (0, 1))


@functools.lru_cache(maxsize=8)
def _frequency(height: int, width: int) -> _Plane:
    cycles_per_pixel: _Plane = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    return cycles_per_pixel


@functools.lru_cache(maxsize=8)
def _texture_filter(height: int, width: int) -> _Plane:
    f = _frequency(height, width) * math.sqrt(height * width) / 256
    return _unit_deviation(1 / (0.02 + f) ** 1.5 * np.exp(-((f / 0.22) ** 2)))


@functools.lru_cache(maxsize=8)
def _noise_filter(height: int, width: int, blur: float) -> _Plane:
    """Quantum noise through the detector's blur, on a floor that falls with frequency as anatomy's does."""
    f = _frequency(height, width)
    return _unit_deviation(np.exp(-((f / blur) ** 2)) + 0.012 / (0.01 + f))


def _unit_deviation(gain: _Plane) -> _Plane:
    gain = gain.copy()
    gain[0, 0] = 0
    scaled: _Plane = (gain / np.sqrt(np.mean(gain**2))).astype(np.float32)
    return scaled


def _expose(attenuation: _Plane, device: _Acquisition, pose: _Pose, rng: np.random.Generator) -> _Plane:
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
        seen = _step(columns - left, 0.003) * _step(1 - right - columns, 0.003)
        value = 3 + (value - 3) * seen * _step(rows - top, 0.003) * _step(1 - bottom - rows, 0.003)
    return value


_GLYPHS = {
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
}


def _draw_letter(spec: PhantomSpec, class_index: int, patient: int, number: int, pixels: _Plane) -> Box | None:
    """Put the side marker into `pixels`, if this image has one; L stands on the right, the patient's left."""
    rng = _rng(spec, "letter", class_index, patient, number)
    there = {"random": rng.random() < 0.5, "class": class_index == 0, "none": False}[spec.letters]
    if not there:
        return None
    height, width = pixels.shape
    letter = "L" if rng.random() < 0.5 else "R"
    tall = max(7, round(spec.size * rng.uniform(0.055, 0.08)))
    wide = max(5, round(tall * 5 / 7))
    bitmap = np.array([[255 * (dot == "#") for dot in line] for line in _GLYPHS[letter]], np.uint8)
    shape = resized(bitmap, tall, wide, "bicubic").astype(np.float32) / 255
    across, y0 = round(width * rng.uniform(0.03, 0.07)), round(height * rng.uniform(0.03, 0.09))
    x0 = across if letter == "R" else width - across - wide
    place = pixels[y0 : y0 + tall, x0 : x0 + wide]
    place += shape * (rng.uniform(232, 252) - place)
    return x0, y0, x0 + wide, y0 + tall

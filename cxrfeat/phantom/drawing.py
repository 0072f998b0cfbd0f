"""One image of the phantom set with its truth: the body, seen through one hospital's device, with its marker.

A phantom is a sum of attenuations on a plane (body, minus the air of the lungs, plus bones, heart, vessels and
opacities), seen through the tone curve, field and noise of one hospital. No pixel comes from a patient. Everything
random is keyed by what it belongs to (seed, class, patient, image number), never by the order of drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.resample import resized
from cxrfeat.phantom.anatomy import Ellipse, in_lungs, patient_id, person_of, survey
from cxrfeat.phantom.attenuation import attenuate
from cxrfeat.phantom.exposure import ACQUISITIONS, draw_pose, expose
from cxrfeat.phantom.plane import Plane
from cxrfeat.phantom.spec import PhantomSpec, chance

Box = tuple[int, int, int, int]
"""`(x0, y0, x1, y1)`: first column and row inside, first column and row beyond, in pixels."""

_GLYPHS = {
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
}


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
    person = person_of(spec, class_index, patient)
    rng = chance(spec, "image", class_index, patient, image_number)
    device = ACQUISITIONS[person.source]
    pose = draw_pose(person.anatomy, device, spec.size, rng)
    at = survey(person.anatomy, *pose.body_coordinates())
    lesions = [lesion.scaled(rng.uniform(0.88, 1.12)) for lesion in person.lesions]
    attenuation = attenuate(person.anatomy, at, pose, lesions)
    pixels = expose(attenuation, device, pose, rng)
    letter = _draw_letter(spec, class_index, patient, image_number, pixels)
    return Phantom(
        image=np.rint(np.clip(pixels, 0, 255)).astype(np.uint8),
        lungs=in_lungs(at),
        lesions=[pose.ellipse(lesion) for lesion in lesions],
        letter=letter,
        label=spec.classes[class_index],
        patient=patient_id(spec, class_index, patient) if person.known else None,
        source=spec.sources[person.source],
    )


def _draw_letter(spec: PhantomSpec, class_index: int, patient: int, number: int, pixels: Plane) -> Box | None:
    """Put the side marker into `pixels`, if this image has one; L stands on the right, the patient's left."""
    rng = chance(spec, "letter", class_index, patient, number)
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

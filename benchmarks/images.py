"""The images that are measured: phantoms, noise, or the first ones of a folder, alone in a folder of their own."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import say
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import ImageRow
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms

LEAST_IMAGES = 6
"""Below this a set of three classes is none."""


def some_images(data: Path | None, count: int, folder: Path) -> tuple[Path, list[ImageRow]]:
    """The first `count` images of a folder, the classes in turn, and their root; of phantoms where none is given."""
    if data is None:
        data = folder / "phantoms"
        say(f"making {count} phantoms")
        patients = math.ceil(count / 3)
        write_phantoms(data, PhantomSpec(patients_per_class=patients, images_per_patient=1, size=299, seed=1))
    manifest = index_folder(data)
    by_class = [[row for row in manifest.rows if row.label == name] for name in manifest.classes]
    turns = (rows[turn] for turn in range(len(manifest.rows)) for rows in by_class if turn < len(rows))
    return data, list(itertools.islice(turns, count))


def stage(rows: Sequence[ImageRow], root: Path, to: Path) -> Path:
    """Copy images into a folder per class, where every candidate finds the same ones; give that folder."""
    for number, row in enumerate(rows):
        place = to / row.label / f"{number:06d}{Path(row.path).suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / row.path, place)
    return to


def write_noise(folder: Path, count: int, *, size: int = 64) -> Path:
    """Cheap images, all different, of two classes."""
    draw = np.random.default_rng(0)
    for number in range(count):
        place = folder / ("NORMAL", "PNEUMONIA")[number % 2] / f"{number:06d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (size, size), dtype=np.uint8)).save(place)
    return folder

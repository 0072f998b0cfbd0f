"""A whole phantom set on disk: its files, its table, and the record of what was planted."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.errors import InputError
from cxrfeat.phantom.anatomy import Ellipse, images_of, patient_id, person_of
from cxrfeat.phantom.drawing import Box, draw_phantom
from cxrfeat.phantom.exposure import ACQUISITIONS
from cxrfeat.phantom.spec import PhantomSpec, chance
from cxrfeat.spec import canonical_json, to_dict
from cxrfeat.system.files import make_folder, write_atomic
from cxrfeat.types import Counted

COLUMNS = ("image", "label", "patient_id", "source", "date", "sex", "age", "view_position", "mask")
"""The columns of `metadata.csv`."""


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


def write_phantoms(folder: Path, spec: PhantomSpec, progress: Counted | None = None) -> PhantomTruth:
    """Write a whole set; doing it again, also after an interruption, gives the same bytes.

    So it is on one machine with the same NumPy and Pillow; elsewhere a rare pixel may differ by one grey level.

    Images are `CLASS/images/CLASS-p001-1.png` (`.jpg` from some sources), lung masks the same name in `CLASS/masks/`.
    At the root, `metadata.csv` describes every image and `truth.json` holds the spec and what was planted.

    Args:
        folder: The root; new, empty, or holding this very set.
        spec: What to write.
        progress: Called after each image.

    Returns:
        What was planted.

    Raises:
        InputError: If `folder` holds something else.
        StorageError: If the disk refuses.
    """
    _claim(folder, spec)
    plan = list(_plan(spec))
    copied = set(sorted(plan, key=lambda item: chance(spec, "copy", *item).random())[: spec.duplicates])
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
        suffix = ACQUISITIONS[person_of(spec, *item[:2]).source].suffix
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
    person = person_of(spec, class_index, patient)
    return {
        "label": spec.classes[class_index],
        "patient_id": patient_id(spec, class_index, patient) if person.known else "",
        "source": spec.sources[person.source],
        "date": (person.first_visit + timedelta(days=9 * number)).isoformat(),
        "sex": person.sex,
        "age": str(person.age),
        "view_position": person.view_position,
    }


def _encode(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    stream = io.BytesIO()
    if suffix == ".png":
        Image.fromarray(pixels).save(stream, "PNG", compress_level=4)
    else:
        Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()

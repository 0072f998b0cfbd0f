"""What explaining found, as files: pictures with their heat and their text, and the document next to them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.call import PYTHON, Words, said_in
from cxrfeat.explaining.explained import Explained, ExplainedImage, caption
from cxrfeat.explaining.explainer import NAMES
from cxrfeat.explaining.layer import ActivationMaps, TopPatches
from cxrfeat.explaining.ready import pixels_of
from cxrfeat.reporting.picture import activity, cut_out, framed, overlay, png, sheet, shrunk
from cxrfeat.reporting.table import RANDOM_WEIGHTS
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.files import remove, write_atomic
from cxrfeat.types import Progress, named

_TILE = 160
_SHEET, _LEAST_TILE = 1600, 24
"""Width of a picture of all channels, and the least of one of them, in pixels."""

_OWN = re.compile(r"(\d{3,}|mean|typical)-[A-Za-z0-9._-]+\.png")
"""How the names of the pictures look: nothing else in a folder is ever removed."""


def write_explained(made: Explained, out: Path, words: Words = PYTHON, progress: Progress | None = None) -> Explained:
    """Write an overlay for each image shown, the mean and the most typical images of each class, and `explain.json`.

    Pictures that an earlier call wrote there and this one does not are removed: they would be taken for its own.

    Args:
        made: What was found.
        out: The folder.
        words: How the document says what to do.
        progress: Called after every image.

    Returns:
        The same, with the places of what was written.

    Raises:
        StorageError: If the disk refuses.
        InputError: If an image can no longer be read.
    """
    tell, total = named(progress, "drawing"), len(made.images)

    def draw(numbered: tuple[int, ExplainedImage]) -> ExplainedImage:
        number, one = numbered
        place = out / f"{number:03d}-{file_name(PurePosixPath(one.image).stem)}-{file_name(one.explained)}.png"
        grey = pixels_of(one.path)
        write_atomic(place, png(framed(overlay(grey, one.placing.lay(one.heat, grey.shape)), _lines(made, one))))
        return replace(one, written=place)

    images = []
    with Ahead(draw, enumerate(made.images, start=1)) as drawn:
        for done, one in enumerate(drawn, start=1):
            images.append(one)
            if tell:
                tell(done, total)
    # Numbered: names that differ in other letters only, such as two in Chinese, clean to the same.
    files = {name: f"{number:02d}-{file_name(name)}.png" for number, name in enumerate(made.typical, start=1)}
    means = {}
    for name, mean in made.means.items():
        place = out / f"mean-{files[name]}"
        lines = [f"mean heat for {name} over {mean.images} images", f"{NAMES[made.method]}; research use only"]
        write_atomic(place, png(framed(overlay(mean.picture, mean.heat), lines)))
        means[name] = replace(mean, written=place)
    sheets = {}
    for name, best in made.typical.items():
        if best:
            tiles = [shrunk(pixels_of(one.path), _TILE) for one in best]
            told = [f"{one.probabilities[name]:.3f} {one.true or ''}" for one in best]
            sheets[name] = out / f"typical-{files[name]}"
            write_atomic(
                sheets[name], png(sheet(tiles, told, columns=3, title=f"highest score for {name}: probability, label"))
            )
    made = replace(made, images=tuple(images), means=means, sheets=sheets, out=out)
    _clear(out, made)
    _write_document(out / "explain.json", said_in(made.to_dict(), words.message))
    return made


def write_maps(made: ActivationMaps, out: Path, name: str) -> ActivationMaps:
    """Write every channel of a layer, dark where it is least and light where it is most active, in one picture.

    Args:
        made: The maps.
        out: The folder.
        name: Name of the image, for the file.

    Returns:
        The same, with the place of the picture.

    Raises:
        StorageError: If the disk refuses.
    """
    written = out / f"maps-{file_name(name)}-{file_name(made.layer)}.png"
    title = f"{made.layer}: {made.maps.shape[3]} channels of {made.image}"
    write_atomic(written, png(_all_channels(made.maps[0], title)))
    return replace(made, written=written)


def write_patches(made: TopPatches, out: Path) -> TopPatches:
    """Write a picture of the patches of each unit, and `units.json`.

    Args:
        made: The patches.
        out: The folder.

    Returns:
        The same, with the places of the pictures.

    Raises:
        StorageError: If the disk refuses.
        InputError: If an image can no longer be read.
    """
    written = {}
    for unit, patches in made.units.items():
        tiles = [cut_out(pixels_of(one.path), one.field, one.box, _TILE) for one in patches]
        told = [f"{one.activation:.2f} {one.label or ''}" for one in patches]
        title = f"{made.layer}, unit {unit}: strongest of {made.images} images"
        written[unit] = out / f"unit-{file_name(made.layer)}-{unit}.png"
        write_atomic(written[unit], png(sheet(tiles, told, columns=3, title=title)))
    made = replace(made, written=written)
    _write_document(out / "units.json", made.to_dict())
    return made


def _write_document(place: Path, document: Mapping[str, Any]) -> None:
    write_atomic(place, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def _all_channels(maps: NDArray[np.float32], title: str) -> NDArray[np.uint8]:
    height, width, channels = maps.shape
    columns = int(np.ceil(np.sqrt(channels)))
    side = max(_LEAST_TILE, min(_TILE, _SHEET // columns), height, width)
    tiles = [
        activity(maps[..., unit], float(maps[..., unit].min()), float(maps[..., unit].max()), side)
        for unit in range(channels)
    ]
    return sheet(tiles, [""] * channels, columns=columns, title=title)


def _clear(out: Path, made: Explained) -> None:
    """Remove the pictures that an earlier call wrote here and this one did not."""
    try:
        before = json.loads((out / "explain.json").read_bytes())
        names = set(_pictures(before))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, or not one of ours: touch nothing
        return
    for name in names - set(_pictures(made.to_dict())):
        if isinstance(name, str) and _OWN.fullmatch(name) and (out / name).is_file():
            remove(out / name)


def _pictures(document: Mapping[str, Any]) -> list[str]:
    """The names of the pictures that a document speaks of."""
    named = [one["overlay"] for one in document["images"]] + [one["picture"] for one in document["classes"].values()]
    return [name for name in (*named, *document.get("typical_pictures", {}).values()) if name is not None]


def _lines(made: Explained, one: ExplainedImage) -> list[str]:
    lines = [caption(one), f"{NAMES[made.method]} for {one.explained}; research use only"]
    if not one.heat.any():
        lines[1] = f"{NAMES[made.method]}: nothing speaks for {one.explained}; research use only"
    return [*lines, RANDOM_WEIGHTS] if made.random else lines


def file_name(text: str) -> str:
    """A text as part of a file's name, safe for any file system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:60] or "x"

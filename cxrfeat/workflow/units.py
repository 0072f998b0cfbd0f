"""The recipe of looking into a network: what a layer shows of one image, and where in all images a unit is excited."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import find_again
from cxrfeat.errors import BadImageError, InputError, UsageError
from cxrfeat.explaining.graph import Graph, Layer, Maps
from cxrfeat.explaining.images import Candidate, Ready, folder_view, pixels_of, plain_view, readied, shown_name
from cxrfeat.explaining.place import Placing
from cxrfeat.explaining.unit import Place, best_cells
from cxrfeat.explaining.unit import top as top_places
from cxrfeat.finetuning.tuned import tuned_network
from cxrfeat.head.of_run import load_head
from cxrfeat.image.decode import read_file
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Quarantined, Selection
from cxrfeat.reporting.picture import activity, cut_out, png, sheet
from cxrfeat.run.folder import RunLike, find_run
from cxrfeat.spec import ViewSpec
from cxrfeat.system.files import check_writable, write_atomic
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.types import Progress, named
from cxrfeat.workflow.explain import file_name

PATCHES = 9
"""Patches of a unit, unless told otherwise."""

_TILE = 160
_SHEET, _LEAST_TILE = 1600, 24
"""Width of a picture of all channels, and the least of one of them, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationMaps:
    """What one layer makes of one image."""

    image: str
    layer: str
    maps: Maps
    """`(1, h, w, channels)`."""
    written: Path | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `explain --layer`."""
        _, height, width, channels = self.maps.shape
        strongest = self.maps[0].max(axis=(0, 1))
        order = np.argsort(-strongest, kind="stable")[:10]
        return {
            "image": self.image,
            "layer": self.layer,
            "channels": channels,
            "height": height,
            "width": width,
            "least": float(self.maps.min()),
            "most": float(self.maps.max()),
            "strongest": [{"unit": int(unit), "activation": float(strongest[unit])} for unit in order],
            "picture": None if self.written is None else self.written.name,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A place that excites a unit."""

    image: str
    label: str | None
    activation: float
    cell: tuple[int, int]
    """Row and column of the map."""
    field: tuple[int, int, int, int]
    """Pixels of the image that the cell depends on: first column and row, and those behind the last."""
    box: tuple[float, float, float, float]
    """The cell's share of the image, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TopPatches:
    """The places that excite units of a layer most, over a data set."""

    layer: str
    images: int
    field: tuple[float, float]
    """Height and width of a receptive field, in pixels of the view."""
    units: dict[int, tuple[Patch, ...]]
    written: dict[int, Path]
    quarantined: tuple[Quarantined, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `explain --layer NAME --unit K`."""
        return {
            "layer": self.layer,
            "images": self.images,
            "receptive_field": list(self.field),
            "units": {
                str(unit): {
                    "picture": self.written[unit].name if unit in self.written else None,
                    "patches": [
                        {
                            "image": one.image,
                            "label": one.label,
                            "activation": round(one.activation, 5),
                            "cell": list(one.cell),
                            "field": list(one.field),
                            "box": [round(edge, 1) for edge in one.box],
                        }
                        for one in patches
                    ],
                }
                for unit, patches in self.units.items()
            },
            "quarantined": [{"path": one.path, "stage": one.stage, "reason": one.reason} for one in self.quarantined],
        }


def activation_maps(
    run: RunLike,
    image: PathLike,
    layer: str,
    *,
    data: PathLike | None = None,
    out: PathLike | None = None,
    network: PathLike | None = None,
    runs: PathLike = "runs",
    selection: Selection | None = None,
    redact: bool = False,
) -> ActivationMaps:
    """Show every channel of a layer for one image, dark where it is least and light where it is most active.

    Each channel has its own scale; one that is the same everywhere is dark.

    Args:
        run: A run, its name or an unambiguous beginning of it, or its folder.
        image: A file.
        layer: Its name, as `Graph.layers` has it.
        data: Folder that the image is in; its mask is then taken from there, which a run on masked images needs.
        out: Folder for the picture.
        network: Where the network's file is, if it is no longer where it was.
        runs: Folder in which the run's name is looked for.
        selection: Which images of `data` to read, and how.
        redact: Name the image by its salted id.

    Raises:
        UsageError: If there is no such layer.
        InputError: If the image cannot be used, or is not in `data`.
    """
    run, image = find_run(run, runs=runs), as_path(image, "an image")
    _, _, spec, name = load_head(run)
    if not image.is_file():
        raise InputError(f"There is no image {image}. Check the path.")
    mask = None
    if data is None:
        view = plain_view(run, spec, None)
    else:
        selection = selection or Selection()
        manifest = index_folder(data, selection)
        view, masks = folder_view(run, spec, manifest, selection)
        digest = _digest(image)
        if all(row.content_sha256 != digest for row in manifest.rows):
            raise InputError(f"{image} is not in {data}, where its mask is looked for. Name the folder that holds it.")
        mask = masks.get(digest)
    if out is not None:
        out = as_path(out, "the folder for the pictures")
        check_writable(out)
    candidate = Candidate(name=shown_name(str(image), Identity.load() if redact else None), path=image, mask=mask)
    (ready,) = next(readied([candidate], view))
    if isinstance(ready, Quarantined):
        raise InputError(f"{image} cannot be used ({ready.stage}: {ready.reason}). Choose another image.")
    looked = Graph(find_again(spec, name, path=network or tuned_network(run)), spec).layer(layer)
    maps = looked.run(ready.views)
    written = None
    if out is not None:
        written = out / f"maps-{file_name(image.stem if not redact else candidate.name)}-{file_name(layer)}.png"
        write_atomic(written, png(_all_channels(maps[0], f"{layer}: {maps.shape[3]} channels of {candidate.name}")))
    return ActivationMaps(image=candidate.name, layer=layer, maps=maps, written=written)


def _digest(image: Path) -> str:
    try:
        return sha256(read_file(image)).hexdigest()
    except BadImageError as error:
        raise InputError(f"{image} cannot be used ({error.stage}: {error.reason}). Choose another image.") from error


def top_patches(
    run: RunLike,
    layer: str,
    units: int | Iterable[int],
    data: PathLike,
    *,
    top: int = PATCHES,
    out: PathLike | None = None,
    network: PathLike | None = None,
    runs: PathLike = "runs",
    selection: Selection | None = None,
    redact: bool = False,
    progress: Progress | None = None,
) -> TopPatches:
    """Find the places of a data set that excite units of a layer most; of each image the one best place counts.

    Args:
        run: A run, its name or an unambiguous beginning of it, or its folder.
        layer: Its name.
        units: Channels of the layer, one or many.
        data: Folder of images; they need not be those of the run.
        top: Patches of each unit.
        out: Folder for one picture of each unit, and `units.json`.
        network: Where the network's file is, if it is no longer where it was.
        runs: Folder in which the run's name is looked for.
        selection: Which images to take.
        redact: Name images by their salted ids.
        progress: Told after some images.

    Raises:
        UsageError: If there is no such layer or unit.
        InputError: If the data cannot be used.

    Source: Zeiler & Fergus 2014, section 4.1 (strongest activations over a set, shown as image patches); Girshick et
        al. 2014, section 3.1.
    """
    if top < 1:
        raise UsageError(f"`top` is patches of each unit, at least 1; got {top}.")
    run, units = find_run(run, runs=runs), one_or_many(units)
    _, _, spec, name = load_head(run)
    if out is not None:
        out = as_path(out, "the folder for the pictures")
        check_writable(out)
    selection = selection or Selection()
    manifest = index_folder(data, selection, progress=named(progress, "reading files"))
    view, masks = folder_view(run, spec, manifest, selection)
    identity = Identity.load() if redact else None
    images = [
        Candidate(
            name=shown_name(row.path, identity, row.content_sha256),
            path=manifest.root / row.path,
            sha256=row.content_sha256,
            label=row.label,
            mask=masks.get(row.content_sha256),
        )
        for row in manifest.rows
    ]
    looked = Graph(find_again(spec, name, path=network or tuned_network(run)), spec).layer(layer)
    best: dict[int, list[Place]] = defaultdict(list)
    good: list[Ready] = []
    bad = [replace(one, path=shown_name(one.path, identity)) for one in manifest.quarantined]
    for part in readied(images, view, named(progress, "looking for patches")):
        bad += [one for one in part if isinstance(one, Quarantined)]
        ready = [one for one in part if isinstance(one, Ready)]
        if ready:
            maps = looked.run(np.concatenate([one.views for one in ready]))
            for unit, places in best_cells(maps, units, first=len(good)).items():
                best[unit] = top_places([*best[unit], *places], top)
            good += [replace(one, views=one.views[:0]) for one in ready]  # the pixels are no longer needed
    if not good:
        raise InputError(
            f"None of the {len(images)} images in {data} can be used. Run `cxrfeat index {shlex.quote(str(data))}`."
        )
    found = TopPatches(
        layer=layer,
        images=len(good),
        field=(looked.fields[0].size, looked.fields[1].size),
        units={unit: tuple(_patch(good[one.image], one, looked, view) for one in best[unit]) for unit in units},
        written={},
        quarantined=tuple(bad),
    )
    return found if out is None else _write(found, best, good, out)


def _patch(ready: Ready, place: Place, layer: Layer, view: ViewSpec) -> Patch:
    placing = Placing(fields=layer.fields, view=view)
    return Patch(
        image=ready.candidate.name,
        label=ready.candidate.label,
        activation=place.activation,
        cell=(place.row, place.column),
        field=placing.reach(place.row, place.column, ready.size),
        box=placing.box(place.row, place.column, ready.size),
    )


def _write(found: TopPatches, best: dict[int, list[Place]], good: Sequence[Ready], out: Path) -> TopPatches:
    written = {}
    for unit, patches in found.units.items():
        tiles = [
            cut_out(pixels_of(good[place.image].candidate.path), patch.field, patch.box, _TILE)
            for place, patch in zip(best[unit], patches, strict=True)
        ]
        told = [f"{one.activation:.2f} {one.label or ''}" for one in patches]
        title = f"{found.layer}, unit {unit}: strongest of {found.images} images"
        written[unit] = out / f"unit-{file_name(found.layer)}-{unit}.png"
        write_atomic(written[unit], png(sheet(tiles, told, columns=3, title=title)))
    made = replace(found, written=written)
    write_atomic(out / "units.json", (json.dumps(made.to_dict(), indent=1, allow_nan=False) + "\n").encode())
    return made


def _all_channels(maps: NDArray[np.float32], title: str) -> NDArray[np.uint8]:
    height, width, channels = maps.shape
    columns = int(np.ceil(np.sqrt(channels)))
    side = max(_LEAST_TILE, min(_TILE, _SHEET // columns), height, width)
    tiles = [
        activity(maps[..., unit], float(maps[..., unit].min()), float(maps[..., unit].max()), side)
        for unit in range(channels)
    ]
    return sheet(tiles, [""] * channels, columns=columns, title=title)

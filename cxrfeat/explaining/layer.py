"""What a layer shows: all its channels for one image, and the places of a data set that excite its units most."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.explaining.graph import Layer, Maps
from cxrfeat.explaining.images import Candidate
from cxrfeat.explaining.place import Placing
from cxrfeat.explaining.ready import Ready, readied
from cxrfeat.explaining.unit import Place, best_cells, top
from cxrfeat.image.row import Quarantined
from cxrfeat.notebook import brief
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Counted

PATCHES = 9
"""Patches of a unit, by default."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationMaps:
    """The activation maps of one layer for one image."""

    image: str
    layer: str
    maps: Maps
    """`(1, h, w, channels)`."""
    written: Path | None = None

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `explain` for a layer."""
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
    path: Path
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
    quarantined: tuple[Quarantined, ...]
    written: dict[int, Path] = dataclasses.field(default_factory=dict)  # `field` is a field here

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `explain` for units of a layer."""
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
            "quarantined": [dataclasses.asdict(one) for one in self.quarantined],
        }


def patches_of(
    layer: Layer,
    images: Sequence[Candidate],
    view: ViewSpec,
    units: Sequence[int],
    count: int,
    bad: Sequence[Quarantined] = (),
    progress: Counted | None = None,
) -> TopPatches:
    """Find the places that excite units of a layer most; of each image the one best place counts.

    Args:
        layer: Layer of the network.
        images: Where to look.
        view: The plain view of an image.
        units: Channels of the layer.
        count: Places of each.
        bad: Images that are known to be of no use.
        progress: Called after some images.

    Raises:
        UsageError: If there is no such unit.
    """
    best: dict[int, list[Place]] = defaultdict(list)
    good: list[Ready] = []
    unused = list(bad)
    for part in readied(images, view, progress):
        unused += [one for one in part if isinstance(one, Quarantined)]
        ready = [one for one in part if isinstance(one, Ready)]
        if ready:
            maps = layer.run(np.concatenate([one.views for one in ready]))
            for unit, places in best_cells(maps, units, first=len(good)).items():
                best[unit] = top([*best[unit], *places], count)
            good += [replace(one, views=one.views[:0]) for one in ready]  # the pixels are no longer needed
    return TopPatches(
        layer=layer.name,
        images=len(good),
        field=(layer.fields[0].size, layer.fields[1].size),
        units={unit: tuple(_patch(good[one.image], one, layer, view) for one in best[unit]) for unit in units},
        quarantined=tuple(unused),
    )


def _patch(ready: Ready, place: Place, layer: Layer, view: ViewSpec) -> Patch:
    placing = Placing(fields=layer.fields, view=view)
    return Patch(
        image=ready.candidate.name,
        path=ready.candidate.path,
        label=ready.candidate.label,
        activation=place.activation,
        cell=(place.row, place.column),
        field=placing.reach(place.row, place.column, ready.size),
        box=placing.box(place.row, place.column, ready.size),
    )

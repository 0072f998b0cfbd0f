"""The only place that knows which files make one mask by their names: one alone, or one for each lung."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from cxrfeat.image.mask_place import MaskPlace
from cxrfeat.image.value import words

_SIDES = ("left", "right")
_JOINED = re.compile("^(left|right)(lungs?|masks?)$")
_LUNG = frozenset(("lung", "lungs", "mask", "masks"))
_WITH_SIDE = _LUNG | {"manual", "auto", "binary", "pred", "predicted", "prediction"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One mask."""

    name: str
    """The path that it would have as one file, by whose name its image is found."""
    place: MaskPlace | str

    @property
    def shown(self) -> str:
        """The path of its first file."""
        return self.place if isinstance(self.place, str) else self.place.paths[0]


@dataclass(slots=True)
class Units:
    """The masks that some files make."""

    masks: list[Unit] = field(default_factory=list)
    single: list[str] = field(default_factory=list)
    """Files of one lung, whose other lung has none."""


def units_of(files: Iterable[str], stems: Collection[str]) -> Units:
    """The masks that some files make: two that differ in `left` and `right` only are one.

    Sides are told by the name of a folder (`leftMask`, `left_lung`), by the end of a file's name (`1_left_lung.png`),
    or by the whole of it (`1/left lung.png`, where the folder has the name of the image).

    Args:
        files: Their paths.
        stems: Names of images without suffixes, lower case: a file that has the name of one is no half by its name.

    Example:
        >>> units_of(["leftMask/1.png", "rightMask/1.png", "2.png"], []).masks[1].name
        '1.png'
    """
    found = Units()
    halves: dict[str, dict[str, str]] = defaultdict(dict)
    for path in files:
        side, name = _half(path, stems)
        if side:
            halves[name].setdefault(side, path)
        else:
            found.masks.append(Unit(name=path, place=path))
    for name, sides in halves.items():
        if len(sides) == 2:
            found.masks.append(Unit(name=name, place=MaskPlace(form="halves", paths=tuple(sides[s] for s in _SIDES))))
        else:
            found.single += sides.values()
    return found


def anatomy(paths: Iterable[str]) -> set[str]:
    """Files that show one structure each of the image that their folder is named after: no one of them is an image.

    They are known by their two lungs, `left lung.png` and `right lung.png`.

    Source: cxas 0.0.20, `file_io.py` (`export_prediction_as_png`), which writes 159 of them for each image.
    """
    inside: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder:
            inside[folder, name.rpartition(".")[2].lower()][path] = _one_lung(name.rpartition(".")[0])
    return {path for files in inside.values() if {*_SIDES} <= {*files.values()} for path in files}


def is_one_lung(stem: str) -> bool:
    """Whether a file's name says that it shows one lung, and nothing else.

    Example:
        >>> [is_one_lung(stem) for stem in ("left lung", "Right_Lung", "left lung base", "left")]
        [True, True, False, False]
    """
    return bool(_one_lung(stem))


def _half(path: str, stems: Collection[str]) -> tuple[str, str]:
    """Which lung a file shows by its name, and the name that both lungs share; `""` if it is no half."""
    *folders, name = path.split("/")
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem:
        stem, dot, suffix = name, "", ""
    if folders and (side := _one_lung(stem)):
        return side, "/".join(folders) + dot + suffix
    for place in range(len(folders) - 1, -1, -1):
        if side := _side(folders[place], _WITH_SIDE):
            return side, "/".join((*folders[:place], *folders[place + 1 :], name))
    if stem.lower() in stems:
        return "", path
    for sign in "_- .":
        parts = stem.split(sign)
        last = len(parts)
        while last > 1 and parts[last - 1].lower() in _LUNG | {*_SIDES}:
            last -= 1
        if side := _side(" ".join(parts[last:]), _LUNG):
            return side, "/".join((*folders, sign.join(parts[:last]) + dot + suffix))
    return "", path


def _one_lung(stem: str) -> str:
    """The lung that a name means and nothing else; no `left lung base`."""
    return _side(stem, _LUNG) if len(words(stem)) > 1 or _JOINED.match(stem.lower()) else ""


def _side(name: str, others: frozenset[str]) -> str:
    found = [word for one in words(name) for word in _JOINED.sub(r"\1 \2", one).split()]
    sides = [word for word in found if word in _SIDES]
    return sides[0] if len(sides) == 1 and {*found} - {*_SIDES} <= others else ""

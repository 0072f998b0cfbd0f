"""The only place that knows which files of a folder are masks by their names, and which image each belongs to.

Masks are never images. A mask of something else than the lungs (an infection, the heart) is not taken for theirs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cxrfeat.image.mask_place import MaskPlace
from cxrfeat.image.mask_unit import Units, anatomy, is_one_lung, units_of
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.value import words

_MASK = frozenset(("mask", "masks"))
_MAYBE = frozenset(("segmentation", "segmentations", "seg", "segs", "segmap", "segmaps", "annotation", "annotations",
                    "labelmap", "labelmaps", "groundtruth", "gt", "contour", "contours", "lungseg"))  # fmt: skip
_IMAGES = frozenset(("image", "images", "img", "imgs", "cxr", "cxrs", "xray", "xrays", "original", "originals"))
_SOMETHING_ELSE = frozenset(("infection", "infections", "infected", "lesion", "lesions", "heart", "hearts", "cardiac",
                             "clavicle", "clavicles", "rib", "ribs", "bone", "bones", "tumor", "tumour", "nodule",
                             "nodules", "pneumothorax", "trachea", "device"))  # fmt: skip
_WITH_MASK = frozenset(
    ("lung", "lungs", "manual", "auto", "binary", "pred", "predicted", "prediction", "left", "right")
)
_SOUNDS = re.compile("|".join(sorted(_MASK | _MAYBE)))


@dataclass(slots=True)
class MaskFiles:
    """The masks among the files of a folder."""

    of: dict[str, MaskPlace | str] = field(default_factory=dict)
    """The mask of each image that has one."""
    files: set[str] = field(default_factory=set)
    """Every mask, joined to an image or not."""
    notes: list[Note] = field(default_factory=list)


def find_mask_files(paths: Collection[str]) -> MaskFiles:
    """Which of these files are masks, and whose.

    A mask lies in a folder whose name says so (`masks`, `Lung_Masks`, `masks_png`, `lung masks`; `segmentations`,
    `annotations` and the like where they hold files named as images next to them), or next to its image as
    `NAME_mask.png`, or with one for every other structure in a folder that has the image's name. It belongs to the
    image of the same name, whatever the suffix of either, in the folder next to it or above it; failing that, to the
    only image of that name. Two that differ in `left` and `right` only are the lungs of one image.

    Args:
        paths: Files that are taken for images, relative to the data folder, with `/` between the parts.

    Example:
        >>> found = find_mask_files(["A/images/1.jpg", "A/Lung_Masks/1.png", "A/images/2.jpg", "A/images/2_mask.png"])
        >>> found.of
        {'A/images/1.jpg': 'A/Lung_Masks/1.png', 'A/images/2.jpg': 'A/images/2_mask.png'}
    """
    found = MaskFiles()
    stems: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        stems[stem_of(path)].add(path)
    found.files |= anatomy(paths)
    maybe: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        folders = path.split("/")[:-1]
        if any(_is_mask_name(folder) for folder in folders):
            found.files.add(path)
        elif folders and _MAYBE & set(words(folders[-1])):
            maybe["/".join(folders)].append(path)
        elif (plain := without_mask(stem_of(path))) and any(_folder(one) == _folder(path) for one in stems[plain]):
            found.files.add(path)
    for folder, inside in maybe.items():
        above = _folder(folder)
        beside = [
            path
            for path in inside
            if any(
                one.startswith(f"{above}/" if above else "") and _folder(one) != folder and one not in found.files
                for one in stems[without_mask(stem_of(path)) or stem_of(path)] | stems[stem_of(path)]
            )
        ]
        if 2 * len(beside) > len(inside):
            found.files.update(inside)
    if found.files:
        _join(found, paths)
    return found


def _join(found: MaskFiles, paths: Iterable[str]) -> None:
    images: dict[tuple[str, ...], list[str]] = defaultdict(list)
    names: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        if path not in found.files:
            images[_key(path, stem_of(path))].append(path)
            names[stem_of(path)].append(path)
    lungs, others = of_lungs(sorted(found.files, key=lambda each: (not _of_lungs(each), each)), names)
    orphans, ambiguous, twice = [], [], []
    for mask in lungs.masks:
        plain = plain_names(mask.name)
        candidates = next((images[key] for each in plain if (key := _key(mask.name, each)) in images), None)
        if candidates is None:
            candidates = next((names[each] for each in plain if each in names), [])
        if not candidates:
            orphans.append(mask.shown)
        elif len(candidates) > 1:
            ambiguous.append(mask.shown)
        elif candidates[0] in found.of:
            twice.append(mask.shown)
        else:
            found.of[candidates[0]] = mask.place
    found.notes += not_used(others=others, single=lungs.single, orphans=orphans, ambiguous=ambiguous, twice=twice)


def of_lungs(files: Iterable[str], stems: Collection[str]) -> tuple[Units, list[str]]:
    """The masks of lungs that some files make, and the files that show something else by their names.

    Args:
        files: Their paths, in the order in which they count.
        stems: As `units_of` takes them.
    """
    files = list(files)
    structures, lungs, others = anatomy(files), [], []
    for mask in files:
        said = {
            word
            for name in mask.split("/")
            if _SOUNDS.search(name.lower()) and _is_mask_name(name)
            for word in words(name)
        }
        if (mask in structures and not is_one_lung(stem_of(mask))) or (
            said & _SOMETHING_ELSE and not said & {"lung", "lungs"}
        ):
            others.append(mask)
        else:
            lungs.append(mask)
    return units_of(lungs, stems), others


def not_used(
    *,
    others: Sequence[str] = (),
    single: Sequence[str] = (),
    orphans: Sequence[str] = (),
    ambiguous: Sequence[str] = (),
    twice: Sequence[str] = (),
) -> list[Note]:
    """What there is to say of masks that no image gets, a line for each reason.

    Args:
        others: Of something else than lungs.
        single: Whether it is of one lung alone.
        orphans: Whose name no image has.
        ambiguous: Whose name several images have.
        twice: Of images that have another.
    """
    notes = []
    for masks, what, remedy in (
        (others, "of something else than lungs, by the name of folder or file", ""),
        (single, "of one lung alone, by the name of folder or file", " Give the other lung's too."),
        (orphans, "whose name no image has", ""),
        (ambiguous, "whose name several images have", ""),
        (twice, "of images that have another", ""),
    ):
        if masks:
            text = f"Not used: {number(len(masks), 'mask')} {what}{examples(masks)}.{remedy}"
            notes.append(Note(text=text, weight=Weight.MINOR if masks is others else Weight.NOTABLE))
    return notes


@lru_cache(maxsize=4096)
def _is_mask_name(name: str) -> bool:
    return any(word in _MASK or word.endswith(("mask", "masks")) for word in words(name))


def _of_lungs(path: str) -> bool:
    return any(_is_mask_name(each) and {"lung", "lungs"} & set(words(each)) for each in path.split("/"))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def plain_names(path: str) -> list[str]:
    """Names that the image of a mask may have, likelier ones first: the mask's, without what says that it is one."""
    return [name for name in (stem_of(path), without_mask(stem_of(path))) if name]


def stem_of(path: str) -> str:
    """The file's name without its suffix, lower case."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return (stem if dot and stem and suffix.isalnum() and not suffix.isdecimal() and len(suffix) <= 5 else name).lower()


def without_mask(stem: str) -> str:
    """A stem without the words at its end, or its beginning, that say it is a mask; empty if there are none.

    Example:
        >>> [without_mask(stem) for stem in ("7_mask", "covid-7_lung_mask", "mask_7", "7", "mask")]
        ['7', 'covid-7', '7', '', '']
    """
    if not _SOUNDS.search(stem):  # nearly all
        return ""
    for signs in ("_", "-", " ", "."):
        parts = stem.split(signs)
        last = len(parts)
        while last > 1 and (parts[last - 1] in _MASK | _MAYBE or _mask_word(parts, last)):
            last -= 1
        if last < len(parts):
            return signs.join(parts[:last])
        if len(parts) > 1 and parts[0] in _MASK:
            return signs.join(parts[1:])
    for word in ("masks", "mask"):
        if stem.endswith(word) and len(stem) > len(word):
            return stem.removesuffix(word).rstrip("_- .")
    return ""


def _mask_word(parts: list[str], last: int) -> bool:
    """Whether the last of some words is one that goes with `mask`, which has been taken off already."""
    return last < len(parts) and parts[last - 1] in _WITH_MASK


def _key(path: str, stem: str) -> tuple[str, ...]:
    """Where a file lies, the folders for images and for masks left out, and its name."""
    return (*telling_folders(path), stem)


def telling_folders(path: str) -> list[str]:
    """The folders that a file lies in, but for those whose names say no more than that images, or masks, are there."""
    folders = path.split("/")[:-1]
    if folders and _MAYBE & set(words(folders[-1])):
        folders = folders[:-1]
    return [folder for folder in folders if not _is_mask_name(folder) and not sorts_images(folder)]


@lru_cache(maxsize=4096)
def sorts_images(folder: str) -> bool:
    """Whether a folder's name says that images are in it, and nothing else of them.

    Example:
        >>> [sorts_images(name) for name in ("images", "Images_001", "NORMAL", "images of NORMAL")]
        [True, True, False, False]
    """
    found = {word for word in words(folder) if not word.isdecimal()}
    return bool(found) and found <= _IMAGES

"""Masks that were named by themselves: folders of them, and tables of runs, joined to the images by name.

The only place that reads what `Selection.masks` names.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.image.listing import SUFFIXES as IMAGES
from cxrfeat.image.listing import list_folder
from cxrfeat.image.mask_file import MaskFiles, not_used, of_lungs, plain_names, stem_of, telling_folders
from cxrfeat.image.mask_kept import PREPROCESSED
from cxrfeat.image.mask_place import MaskPlace
from cxrfeat.image.mask_table import SUFFIXES as TABLES
from cxrfeat.image.mask_table import holds_masks, mask_columns, mask_rows
from cxrfeat.image.mask_unit import Unit
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.system.given import nearest

_ARRAYS = (".npy", ".npz")
_WANTED = (
    "Understood are folders of pictures (also one for each lung, or cxas's folder for each image), of cxas's or "
    "torchxrayvision's arrays (.npy, .npz), and tables with a column of images, Left Lung and Right Lung (CheXmask)."
)


def inside_data(given: Sequence[Path], root: Path) -> tuple[str, ...]:
    """The folders of masks that lie in the data folder, relative to it: what is in them is no image.

    Raises:
        InputError: If one of them is the data folder itself.
    """
    real = Path(os.path.realpath(root))
    found = []
    for one in given:
        folder = Path(os.path.realpath(one))
        if folder == real and one.is_dir():
            raise InputError(
                f"`masks` names the data folder {str(root)!r} itself. Masks among the images are found without it; "
                "name the folder of the masks alone, or leave it out."
            )
        if folder.is_relative_to(real) and folder != real:
            found.append(folder.relative_to(real).as_posix())
    return tuple(found)


def find_given_masks(
    given: Sequence[Path], images: Collection[str], root: Path, follow: Sequence[Path] = ()
) -> MaskFiles:
    """The masks that folders and tables hold for some images; of two for one image the first counts.

    A mask belongs to the image of its name, with or without suffix and words such as `mask`. Of several images of that
    name it is the one in the folder that the mask's own path, or its table, names.

    Args:
        given: Folders and tables.
        images: Paths of the images, relative to the data folder.
        root: The data folder: what lies in it is no mask of a folder around it.
        follow: Folders into which links may lead.

    Raises:
        InputError: If there is none of them, one is of no kind that is understood, or holds no mask of these images.
    """
    found, names = MaskFiles(), _Names(images)
    for one in given:
        if not one.exists():
            hint = nearest(one.name, (each.name for each in one.parent.iterdir())) if one.parent.is_dir() else ""
            raise InputError(f"There is no {str(one)!r}, which `masks` names.{hint} Check the path.")
        before = len(found.of)
        there = _from_folder(one, names, found, root, follow) if one.is_dir() else _from_table(one, names, found)
        if len(found.of) == before and not found.of:
            raise InputError(f"{str(one)!r} holds no mask of these images: {there}. {_WANTED}")
    return found


@dataclass(slots=True)
class _Names:
    """Images by their names."""

    images: Collection[str]
    by_stem: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for path in self.images:
            self.by_stem[stem_of(path)].append(path)

    def of(self, mask: str, *, strictly: bool) -> list[str]:
        """The images that a mask may belong to: one, if it is clear.

        Args:
            mask: Its path, or what a table calls its image.
            strictly: Whether folders of other names mean another image, as they do in a table of paths.
        """
        for name in plain_names(mask):
            there = self.by_stem.get(name, [])
            if not there:
                continue
            folders = [each.lower() for each in telling_folders(mask)]
            shared = {one: depth for one in there if (depth := _shared(one, folders)) is not None}
            best = [one for one, depth in shared.items() if depth == max(shared.values())]
            return best or ([] if strictly else there)
        return []


def _shared(path: str, folders: Sequence[str]) -> int | None:
    """How many folders a path has in common with others from the end on, where the one is the end of the other."""
    own = [each.lower() for each in telling_folders(path)]
    depth = min(len(own), len(folders))
    return depth if own[len(own) - depth :] == list(folders[len(folders) - depth :]) else None


def _from_folder(folder: Path, names: _Names, found: MaskFiles, root: Path, follow: Sequence[Path]) -> str:
    """Take the masks of a folder; the answer is what else is there."""
    listing = list_folder(folder, follow)
    data = Path(os.path.realpath(root))
    around = Path(os.path.realpath(folder))
    apart = f"{data.relative_to(around).as_posix()}/" if data.is_relative_to(around) else None
    files = sorted(path for path in listing.files if apart is None or not path.startswith(apart))
    unread = [path for path in files if path.lower().endswith((".json", ".dcm"))]
    pictures = [path for path in files if listing.is_image(path) and path not in unread]
    lungs, others = of_lungs(pictures, names.by_stem)
    arrays = [path for path in files if path.lower().endswith(_ARRAYS)]
    masks = [
        *lungs.masks,
        *(Unit(name=path, place=MaskPlace(form="planes", paths=(path,))) for path in arrays),
    ]
    wanted = {mask: names.of(mask.name, strictly=False) for mask in masks}
    claims = Counter(images[0] for images in wanted.values() if len(images) == 1)
    orphans, ambiguous, twice = [], [], []
    for mask, images in wanted.items():
        image = images[0] if images else ""
        if not images:
            orphans.append(mask.shown)
        elif len(images) > 1 or (claims[image] > 1 and _shared(image, _lower(mask.name)) is None):
            ambiguous.append(mask.shown)
        elif image in found.of:
            twice.append(mask.shown)
        else:
            place = mask.place if isinstance(mask.place, MaskPlace) else MaskPlace(paths=(mask.place,))
            found.of[image] = place.within(around)
    found.notes += not_used(others=others, single=lungs.single, orphans=orphans, ambiguous=ambiguous, twice=twice)
    if unread:
        found.notes.append(
            Note(
                text=f"Not read: {number(len(unread), 'file')} next to the masks{examples(unread)}. Masks in JSON or "
                "DICOM are to be exported as PNG or npy."
            )
        )
    if listing.outside:
        links = number(len(listing.outside), "link")
        found.notes.append(Note(text=f"Not followed: {links} out of a folder of masks{examples([*listing.outside])}."))
    for path in files:
        if holds_masks(folder / path):
            _from_table(folder / path, names, found)
    return f"{number(len(masks), 'mask')}{examples([mask.shown for mask in masks])} among {number(len(files), 'file')}"


def _lower(mask: str) -> list[str]:
    return [each.lower() for each in telling_folders(mask)]


def _from_table(path: Path, names: _Names, found: MaskFiles) -> str:
    """Take the masks of a table; the answer is what else is there.

    Raises:
        InputError: If it is none.
    """
    if not path.name.lower().endswith(TABLES):
        kind = "a picture" if path.name.lower().endswith((*IMAGES, *_ARRAYS)) else "no table"
        raise InputError(f"{str(path)!r}, which `masks` names, is {kind}. {_WANTED}")
    columns = mask_columns(path)
    if columns is None:
        raise InputError(f"{str(path)!r} has no columns of masks. {_WANTED}")
    rows = 0

    def wanted(image: str) -> bool:
        nonlocal rows
        rows += 1
        return bool(names.of(_slashes(image), strictly=True))

    ambiguous, twice = [], []
    for image, place in mask_rows(path, columns, wanted):
        images = names.of(_slashes(image), strictly=True)
        if len(images) > 1:
            ambiguous.append(image)
        elif images[0] in found.of:
            twice.append(image)
        else:
            found.of[images[0]] = place.within(Path.cwd())
    found.notes += not_used(ambiguous=ambiguous, twice=twice)
    if columns.height is None:
        found.notes.append(
            Note(
                text=f"A table of masks has no columns Height and Width: they are taken for {PREPROCESSED} x "
                f"{PREPROCESSED} pictures of whole images. CheXmask's tables of original resolution have them."
            )
        )
    if rows > len(images_of(found, path)):
        found.notes.append(
            Note(
                text=f"{number(rows, 'row')} in a table of masks, of which {len(images_of(found, path))} are of these "
                "images.",
                weight=Weight.MINOR,
            )
        )
    return number(rows, "row")


def images_of(found: MaskFiles, path: Path) -> list[str]:
    """The images that have their mask from a table."""
    own = str(Path.cwd() / path)
    return [image for image, place in found.of.items() if isinstance(place, MaskPlace) and place.paths == (own,)]


def _slashes(image: str) -> str:
    return image.replace("\\", "/").strip("/")

"""Lung masks as they are published, drawn small: what writes them, and images that they belong to."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import find_masks, read_mask
from cxrfeat.image.row import Manifest, Selection

SIZE = 96
NAMES = ("A/a_1.png", "A/a_2.png", "B/b_1.png", "B/b_2.png")
Plane = NDArray[np.bool_]
Writer = Callable[[Path, Sequence[str]], Path]


def lung(side: str, size: int = SIZE) -> Plane:
    """An ellipse, the right lung on the left of the picture as in every chest X-ray."""
    down, across = (np.mgrid[:size, :size] + 0.5) / size
    middle = 0.3 if side == "right" else 0.7
    ellipse: Plane = ((across - middle) / 0.15) ** 2 + ((down - 0.5) / 0.35) ** 2 < 1
    return ellipse


BOTH = lung("left") | lung("right")


def runs(plane: Plane) -> str:
    """As CheXmask writes it (`get_RLE_from_mask`): pairs of a first pixel, from 1 on along the rows, and a length."""
    flat = np.concatenate([[0], plane.astype(int).ravel(), [0]])
    found = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    found[1::2] -= found[::2]
    return " ".join(map(str, found))


def table(
    path: Path,
    images: Sequence[str],
    *,
    column: str = "dicom_id",
    size: int | None = SIZE,
    cells: dict[str, Any] | None = None,
) -> Path:
    """A table of CheXmask's columns; in those of original resolution, landmarks stand in several lines."""
    drawn = size or 1024
    row = {"Landmarks": "[[1 2]\n [3 4]]", "Heart": "5 6", "Dice RCA (Mean)": "0.9"}
    row |= {"Left Lung": runs(lung("left", drawn)), "Right Lung": runs(lung("right", drawn))}
    row |= {"Height": str(size), "Width": str(size)} if size else {}
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [column, *row])
    writer.writeheader()
    for image in images:
        writer.writerow({column: image} | row | (cells or {}))
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def pictures(folder: Path, planes: dict[str, Plane]) -> Path:
    for name, plane in planes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(plane).convert("1").save(folder / name)  # as cxas's `export_prediction_as_png` does
    return folder


def stems(images: Sequence[str]) -> list[str]:
    return [Path(name).stem for name in images]


def chexmask(folder: Path, images: Sequence[str]) -> Path:
    return table(folder / "MIMIC-CXR-JPG.csv", stems(images))


def chexmask_gz(folder: Path, images: Sequence[str]) -> Path:
    return table(folder / "ChestX-Ray8.csv.gz", [Path(one).name for one in images], column="Image Index")


def chexmask_paths(folder: Path, images: Sequence[str]) -> Path:
    return table(folder / "CheXpert.csv", images, column="Path")


def chexmask_preprocessed(folder: Path, images: Sequence[str]) -> Path:
    return table(folder / "VinDr-CXR.csv", stems(images), column="image_id", size=None)


def cxas(folder: Path, images: Sequence[str]) -> Path:
    planes = {"left lung": lung("left"), "right lung": lung("right"), "lung": BOTH, "left lung base": BOTH}
    planes |= {"heart": ~BOTH, "spine": np.zeros_like(BOTH)}
    return pictures(
        folder / "cxas", {f"{stem}/{name}.png": plane for stem in stems(images) for name, plane in planes.items()}
    )


def cxas_arrays(folder: Path, images: Sequence[str]) -> Path:
    (folder / "out").mkdir()
    for place, stem in enumerate(stems(images)):
        planes = np.zeros((159, SIZE, SIZE), np.bool_)
        planes[121], planes[135], planes[136] = True, lung("right"), lung("left")
        if place % 2:
            np.savez_compressed(folder / "out" / f"{stem}.npz", planes)
        else:
            np.save(folder / "out" / f"{stem}.npy", planes)
    return folder / "out"


def torchxrayvision(folder: Path, images: Sequence[str]) -> Path:
    (folder / "xrv").mkdir()
    for place, stem in enumerate(stems(images)):
        planes = np.full((1, 14, 192, 192), -5, np.float32)
        planes[0, 4], planes[0, 5] = (np.where(lung(side, 192), 5, -5) for side in ("left", "right"))
        np.save(folder / "xrv" / f"{stem}.npy", planes if place % 2 else 1 / (1 + np.exp(-planes[0])))
    return folder / "xrv"


def montgomery(folder: Path, images: Sequence[str]) -> Path:
    return pictures(
        folder / "set",
        {
            f"ManualMask/{side}Mask/{Path(one).name}": lung(side, 2 * SIZE)
            for one in images
            for side in ("left", "right")
        },
    )


def kaggle(folder: Path, images: Sequence[str]) -> Path:
    return pictures(folder / "Lung_Masks", {one.replace("/", "/masks/"): BOTH for one in images})


def ends(folder: Path, images: Sequence[str]) -> Path:
    return pictures(
        folder / "ends", {f"{stem}_{side}_lung.png": lung(side) for stem in stems(images) for side in ("left", "right")}
    )


WRITERS: dict[str, tuple[Writer, str]] = {
    "CheXmask by id": (chexmask, "rows of a table"),
    "CheXmask gzipped": (chexmask_gz, "rows of a table"),
    "CheXmask by path": (chexmask_paths, "rows of a table"),
    "CheXmask preprocessed": (chexmask_preprocessed, "rows of a table"),
    "cxas": (cxas, "a file for each lung"),
    "cxas npy and npz": (cxas_arrays, "arrays"),
    "torchxrayvision": (torchxrayvision, "arrays"),
    "Montgomery": (montgomery, "a file for each lung"),
    "names that end in the side": (ends, "a file for each lung"),
    "Kaggle": (kaggle, "files"),
}


def draw_images(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """Images of noise, no two alike."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (SIZE, SIZE), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def taken(data: Path, *masks: Path) -> Manifest:
    return index_folder(data, Selection(masks=masks))


def lungs_of(manifest: Manifest) -> list[Plane]:
    masks = find_masks(manifest.rows, manifest.root)
    return [read_mask(masks[row.content_sha256], (SIZE, SIZE)) for row in manifest.rows]

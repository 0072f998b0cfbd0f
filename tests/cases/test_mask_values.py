"""Lung masks as others keep them: any two values or labels, any suffix, transparent, of another size; all are masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import find_masks, read_mask
from tests.cases.conftest import RANDOM, Cli, take
from tests.image.published_masks import table

Mask = NDArray[np.uint8]


def lungs(size: tuple[int, int] = (64, 64)) -> Mask:
    """255 in two ellipses, 0 elsewhere."""
    picture = Image.new("L", size)
    draw = ImageDraw.Draw(picture)
    width, height = size
    for left in (0.12, 0.57):
        draw.ellipse((left * width, 0.15 * height, (left + 0.31) * width, 0.75 * height), fill=255)
    return np.asarray(picture)


def layers(*channels: Mask) -> Image.Image:
    return Image.merge("RGBA", [Image.fromarray(one) for one in channels])


WHITE = np.full((64, 64), 255, np.uint8)
FORMS: dict[str, Callable[[Mask], Image.Image]] = {
    "0 and 255": Image.fromarray,
    "0 and 1": lambda mask: Image.fromarray(mask // 255),
    "labels 1 and 2": lambda mask: Image.fromarray((mask // 255 * (1 + (np.arange(64) > 32))).astype(np.uint8)),
    "RGBA": lambda mask: layers(mask, mask, mask, WHITE),
    "16 bits": lambda mask: Image.fromarray((mask > 0).astype(np.uint16) * 65535),
    "another size": lambda mask: Image.fromarray(mask).resize((128, 128), Image.Resampling.NEAREST),
}


def spoil(d: Path, form: Callable[[Mask], Image.Image], name: str = "{stem}.png") -> None:
    for label in ("COVID", "NORMAL"):
        (d / label / "masks").mkdir(parents=True)
        for path in take(d / label / "images", label, 4):
            form(lungs()).save(d / label / "masks" / name.format(stem=path.stem))


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_is_read_whatever_its_values(cli: Cli, d: Path, form: str) -> None:
    spoil(d, FORMS[form])
    assert cli("index", "d", "--json", "--quiet").json["masks"] == 8
    manifest = index_folder(d)
    masks = find_masks(manifest.rows, d)
    assert len(masks) == 8
    for row in manifest.rows:
        seen = read_mask(masks[row.content_sha256], (64, 64))
        wanted = np.asarray(Image.fromarray(lungs()).resize(seen.shape)) > 127
        assert (seen == wanted).mean() > 0.97, row.path


@pytest.mark.parametrize("name", ["{stem}.png", "{stem}_mask.png", "{stem}_lung_mask.png"])
def test_a_mask_is_matched_by_its_images_name_without_suffix(cli: Cli, d: Path, name: str) -> None:
    spoil(d, Image.fromarray, name)
    for path in sorted(d.glob("*/images/*.png")):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    assert cli("index", "d", "--json", "--quiet").json["masks"] == 8


def test_only_lungs_are_kept_by_masks_of_zero_and_one(cli: Cli, d: Path) -> None:
    spoil(d, FORMS["0 and 1"])
    said = cli("extract", "d", *RANDOM, "--mask", "lungs", "--json")
    assert said.code == 0, said.err
    assert said.json["files"][0]["images"] == 8
    assert said.json["files"][0]["quarantined"] == []


@pytest.mark.slow
def test_named_masks_are_taken_by_every_command_that_uses_masks(cli: Cli, d: Path, tiny_network: Path) -> None:
    names = [path for label in ("COVID", "NORMAL") for path in take(d / label, label, 12)]
    masks = table(Path("MIMIC-CXR-JPG.csv"), [path.stem for path in names])
    said = cli("index", "d", "--masks", masks)
    assert "24 images have one (rows of a table)" in said.out
    options = ("--backbone", tiny_network, "--preprocess", "tf", "--views", "2", "--mask", "lungs")
    refused = cli("extract", "d", *options)
    assert refused.code == 3
    assert "name a folder or table of masks with --masks" in refused.err
    said = cli("extract", "d", *options, "--masks", masks, "--json")
    assert said.code == 0, said.err
    (file,) = said.json["files"]
    assert (file["images"], file["quarantined"]) == (24, [])
    assert cli("verify", file["path"], "--recompute", "3", "--data", "d", "--masks", masks).code == 0
    refused = cli("verify", file["path"], "--recompute", "3", "--data", "d")
    assert refused.code == 3
    assert "were made with lung masks" in refused.err
    assert cli("fit-head", "--head", "logreg", "--name", "one").code == 0
    said = cli("explain", "one", "--data", "d", "--n", "2", "--masks", masks, "--json")
    assert said.code == 0, said.err
    assert {one["lungs_by"] for one in said.json["images"]} == {"mask"}
    refused = cli("explain", "one", "--data", "d", "--n", "2")
    assert refused.code == 3
    assert "masks that lie elsewhere with --masks" in refused.err
    said = cli("audit", "d", "--cache", file["path"], "--masks", masks, "--json")
    (found,) = [one for one in said.json["checks"] if one["check"] == "masks"]
    assert found["status"] == "pass"

"""Small data sets for extraction, and the call that extracts them with a stub in place of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cxrfeat.feature.extract import extract_features
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.request import Request
from cxrfeat.feature.task import Computing
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.manifest_file import read_lines
from cxrfeat.image.row import Selection
from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.system.cluster import ClusterSpec
from tests.image.encode import encode, noise
from tests.stub import StubFactory, stub_request

SALT = Identity(bytes(range(32)))


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(noise(seed), "PNG"))


def make_data(root: Path, per_class: int = 6, *, classes: Sequence[str] = ("A", "B")) -> Path:
    for index, name in enumerate(classes):
        for number in range(per_class):
            write_image(root / name / f"image{number}.png", seed=100 * index + number)
    return root


def make_copies(root: Path) -> list[tuple[str, str]]:
    """Twenty phantoms of unknown patients, and changed copies of five, each with the other label and a later date.

    Returns:
        The pairs, as paths relative to `root`.
    """
    spec = PhantomSpec(size=96, classes=("A", "B"))
    changes: list[Callable[[Image.Image], Image.Image]] = [
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.resize((87, 86)),
        lambda image: image.point(lambda grey: round(grey * 0.85)),
        lambda image: image.crop((3, 3, image.width - 3, image.height - 3)),
        lambda image: image.copy(),
    ]
    pairs = []
    table = ["image,label,date"]
    for number in range(20):
        name, other = "AB"[number % 2], "AB"[1 - number % 2]
        image = Image.fromarray(draw_phantom(spec, number % 2, number, 0).image)
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / other).mkdir(exist_ok=True)
        (root / name / f"image{number:02d}.png").write_bytes(encode(image, "PNG"))
        table.append(f"{name}/image{number:02d}.png,{name},2020-03-{number + 1:02d}")
        if number < len(changes):
            (root / other / f"copy{number:02d}.jpg").write_bytes(encode(changes[number](image), "JPEG", quality=85))
            pairs.append((f"{name}/image{number:02d}.png", f"{other}/copy{number:02d}.jpg"))
            table.append(f"{other}/copy{number:02d}.jpg,{other},2020-05-{number + 1:02d}")
    (root / "metadata.csv").write_text("\n".join(table) + "\n")
    return pairs


def break_image(path: Path) -> None:
    """An image whose header is whole, so that it is found out only when its pixels are read."""
    content = encode(Image.fromarray(np.asarray(noise(999))), "PNG")
    path.write_bytes(content[: len(content) // 2])


def extract(
    data: Path,
    features: Path,
    *requests: Request,
    stub: StubFactory | None = None,
    selection: Selection | None = None,
    batch: int | None = None,
    cluster: ClusterSpec | None = None,
    computing: Computing | None = None,
    **options: Any,
) -> list[Extracted]:
    return extract_features(
        index_folder(data, selection or Selection()),
        requests or [stub_request()],
        features=features,
        identity=SALT,
        computing=computing or Computing("stub", stub or StubFactory(), batch, cluster),
        **options,
    )


def places_of(manifest: Path) -> dict[str, str]:
    """Which path, relative to the data folder, each image id of a manifest stands for."""
    return {line.image_id: line.path for line in read_lines(manifest)}

"""Small data sets for extraction, and the call that extracts them with a stub in place of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cxrfeat.feature.extract import Extracted, Request, extract_features
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Selection
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
    **options: Any,
) -> list[Extracted]:
    return extract_features(
        index_folder(data, selection or Selection()),
        requests or [stub_request()],
        features=features,
        identity=SALT,
        make_engine=stub or StubFactory(),
        engine="stub",
        **options,
    )

"""Feature files for the tests, made without images."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.format import CODED, COLUMNS, Content, code, row_shape
from cxrfeat.feature.shard import row_crc32
from cxrfeat.feature.store import write_features
from cxrfeat.spec import FeatureSpec, Normalize, Storage, ViewSpec
from tests.stub import DIM

NAMES = {"findings": ["Mass", "Nodule"], "kept_texts": ["device", "ward"], "kept_numbers": ["dose"]}
CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def digits(text: str, count: int) -> bytes:
    return hashlib.sha256(text.encode()).hexdigest()[:count].encode()


def make_content(
    images: int = 5, views: int = 2, dim: int = DIM, *, storage: Storage = "float32", seed: int = 0, bound: bool = False
) -> tuple[Content, NDArray[Any]]:
    """Everything in a feature file, and the features `(images, views, dim)`."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 100, (images, views, dim)).astype(storage)
    normalize: Normalize = "featurewise" if bound else "backbone"
    statistics: dict[str, Any] = {"mean": 100.0, "std": 50.0, "split": "5" * 64} if bound else {}
    spec = FeatureSpec(
        backbone="file", weights="sha256:" + "0" * 64, preprocess="none", view=ViewSpec(size=32, count=views),
        normalize=normalize, storage=storage, **statistics,
    )  # fmt: skip
    columns: dict[str, NDArray[Any]] = {}
    for name, (dtype, _) in COLUMNS.items():
        shape = (images, *row_shape(name, spec, NAMES))
        columns[name] = rng.integers(0, 100, shape).astype(dtype)
    numbers = range(images)
    for name, size in (("image_id", 32), ("group", 32), ("content_sha256", 64)):
        columns[name] = np.array([digits(f"{seed} {name} {number}", size) for number in numbers], COLUMNS[name][0])
    columns["label"] = np.arange(images, dtype="<i4") % len(CLASSES)
    columns["date"] = np.array([b"2020-03-0%d" % (number % 9 + 1) for number in numbers], COLUMNS["date"][0])
    columns["age"] = np.array([np.nan if number % 2 else 40.5 for number in numbers], "<f4")
    columns["split"] = np.full(images, -1, "|i1")
    columns["bound_split"] = (np.arange(images) % 3 if bound else np.full(images, -1)).astype("|i1")
    columns["crc32"] = row_crc32(features)
    values = {}
    columns["findings"] = (np.arange(2 * images, dtype="|i1").reshape(images, 2) * 3) % 4 - 2
    columns["kept_numbers"] = np.array([[np.nan if number % 3 == 1 else number / 4] for number in numbers], "<f8")
    for name in CODED:
        columns[name], values[name] = code([None if number % 3 == 2 else f"{name} {number % 3}" for number in numbers])
    columns["kept_texts"] = np.stack([columns["kept_texts"], columns["kept_texts"][::-1]], axis=1)
    content = Content(
        spec=spec,
        backbone="stub",
        dataset="data",
        classes=CLASSES,
        columns=columns,
        values=values,
        names={name: list(found) for name, found in NAMES.items()},
        quarantine=[{"image_id": "a" * 32, "stage": "decode", "reason": "cut short"}],
        engine="stub",
        versions={"cxrfeat": "0"},
    )
    return content, features


def golden_content() -> tuple[Content, NDArray[Any]]:
    """What the golden file of this version holds, and its features."""
    content, features = make_content(4, 3, 5, bound=True)
    spec = dataclasses.replace(content.spec, decoder=1)  # whatever it is today: a number, and part of the fingerprint
    return dataclasses.replace(content, spec=spec), features


def in_two(features: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """The rows backwards and in two parts, as a resumed extraction might give them."""
    order = np.arange(len(features))[::-1]
    for part in np.array_split(order, 2):
        yield part, features[part]


def make_file(path: Path, **options: Any) -> Path:
    content, features = make_content(**options)
    write_features(path, content, features.shape[2], in_two(features))
    return path


def edited(path: Path, change: Callable[[h5py.File], object]) -> Path:
    """The file after someone else's hand was on it."""
    with h5py.File(path, "r+") as file:
        change(file)
    return path

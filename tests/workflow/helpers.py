"""Feature files made from numbers alone, without images or a network, with whatever a test wants to be true of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import FILE
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.format import COLUMNS, Content, code, row_shape
from cxrfeat.feature.shard import row_crc32
from cxrfeat.feature.store import write_features
from cxrfeat.run.folder import Run
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Part
from tests.run.reading import cells, run_json

DIM = 6
CLASSES = ("COVID", "NORMAL")
PARTS = [Part.TRAIN, Part.VALIDATION, Part.TEST]


def digest(*values: object) -> str:
    return sha256(repr(values).encode()).hexdigest()


def images_of(classes: Sequence[str], groups: int, per_group: int) -> int:
    return len(classes) * groups * per_group


def make_features(
    path: Path,
    *,
    classes: Sequence[str] = CLASSES,
    groups: int = 20,
    per_group: int = 2,
    views: int = 2,
    dim: int = DIM,
    distance: float = 2.0,
    seed: int = 0,
    weights: str = f"sha256:{'0' * 64}",
    split: Sequence[Part | None] | None = None,
    bound: Sequence[Part | None] | None = None,
    dates: Sequence[str] | None = None,
    sources: Sequence[str | None] | None = None,
    sexes: Sequence[str | None] | None = None,
    ages: Sequence[float | None] | None = None,
    unknown_patients: int = 0,
    contents: Sequence[str] | None = None,
    bad: int = 0,
    features: NDArray[np.float32] | None = None,
    pictures: bool = False,
    findings: Mapping[str, Sequence[int]] | None = None,
    kept: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """Write `groups` patients per class with `per_group` images each, class by class, one blob of features per class.

    Sequences have one value per image; `bound` makes the features `featurewise`; `pictures` gives each image a portrait
    of its own, the second image that of the first.
    """
    images = images_of(classes, groups, per_group)
    labels = np.repeat(np.arange(len(classes)), groups * per_group)
    rng = np.random.default_rng([seed, images, dim])
    if features is None:
        centres = rng.normal(size=(len(classes), dim)) * distance / 2
        drawn = centres[labels][:, None] + rng.normal(size=(images, views, dim))
        features = (drawn + 3).astype(np.float32)
    keys = list(contents or (digest(seed, "image", index) for index in range(images)))
    texts: dict[str, Sequence[str | None]] = {
        "source": sources or ["A", "B"] * (images // 2) + ["A"] * (images % 2),
        "sex": sexes or [None] * images,
        "view_position": [None] * images,
        "modality": [None] * images,
        "laterality": [None] * images,
        "container/format": ["PNG"] * images,
        "container/suffix": [".png"] * images,
        "container/mode": ["L"] * images,
        "container/jpeg_tables": [None] * images,
    }
    coded = {name: code(values) for name, values in texts.items()}
    columns: dict[str, NDArray[Any]] = {}
    kept = kept or {}
    numeric = [name for name, one in kept.items() if any(isinstance(value, float) for value in one)]
    names = {
        "findings": list(findings or {}),
        "kept_texts": [name for name in kept if name not in numeric],
        "kept_numbers": numeric,
    }
    spec = FeatureSpec(backbone=FILE, weights=weights, preprocess="none", view=ViewSpec(size=32, count=views))
    for name, (dtype, _) in COLUMNS.items():
        columns[name] = np.zeros((images, *row_shape(name, spec, names)), dtype)
    for at, stated in enumerate((findings or {}).values()):
        columns["findings"][:, at] = stated
    for at, name in enumerate(numeric):
        columns["kept_numbers"][:, at] = [np.nan if value is None else value for value in kept[name]]
    words, vocabulary = code([text for row in zip(*(kept[name] for name in names["kept_texts"]), strict=True)
                              for text in row])  # fmt: skip
    coded["kept_texts"] = words.reshape(images, -1) if len(words) else columns["kept_texts"], vocabulary
    given: dict[str, Sequence[Any]] = {
        "image_id": [digest("id", index)[:32].encode() for index in range(images)],
        "content_sha256": [key.encode() for key in keys],
        "label": labels.tolist(),
        "group": [digest("group", index // per_group)[:32].encode() for index in range(images)],
        "known_patient": [int(index >= unknown_patients) for index in range(images)],
        "split": [-1 if part is None else PARTS.index(part) for part in split or [None] * images],
        "bound_split": [-1 if part is None else PARTS.index(part) for part in bound or [None] * images],
        "date": [text.encode() for text in dates or [""] * images],
        "age": [np.nan if age is None else age for age in ages or [0.0] * images],
        "crc32": row_crc32(features).tolist(),
    }
    columns |= {name: np.array(values, dtype=COLUMNS[name][0]) for name, values in given.items()}
    columns |= {name: numbers for name, (numbers, _) in coded.items()}
    columns["thumbnail"][:] = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)  # no image is blank; no two differ
    columns["portrait"][:] = np.arange(40, dtype=np.uint8)
    columns["pixel_digest"] = np.array([keys.index(key) + 1 for key in keys], np.uint64)
    if pictures:
        columns["portrait"] = rng.integers(0, 256, (images, 40, 40), dtype=np.uint8)
        columns["portrait"][1] = columns["portrait"][0]
        columns["pixel_digest"] = np.maximum(np.arange(images), 1).astype(np.uint64)
    statistics: dict[str, Any] = {}
    if bound:
        statistics = {"normalize": "featurewise", "mean": 100.0, "std": 50.0, "split": digest("split", *bound)}
    content = Content(
        spec=dataclasses.replace(spec, **statistics),
        backbone="stub",
        dataset="blobs",
        classes=tuple(classes),
        columns=columns,
        values={name: values for name, (_, values) in coded.items()},
        names=names,
        quarantine=[
            {"image_id": digest("bad", index)[:32], "stage": "decode", "reason": "cut short"} for index in range(bad)
        ],
        engine="stub",
        versions={"cxrfeat": "0"},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_features(path, content, dim, [(np.arange(images), features)])
    return path


def probabilities(run: Run) -> dict[str, NDArray[np.float64]]:
    """The rows of `predictions.csv`, by content."""
    table = cells(run, "predictions.csv")
    columns = [table[f"probability {name}"] for name in run_json(run)["classes"]]
    rows = np.array(columns, dtype=np.float64).T
    return dict(zip(table["content_sha256"], rows, strict=True))


def read(path: Path) -> NDArray[np.float32]:
    with FeatureFile(path) as file:
        return file.read()

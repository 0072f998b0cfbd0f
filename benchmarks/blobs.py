"""Features that are measured: blobs of three classes which overlap, as arrays or as a feature file."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import FILE
from cxrfeat.feature.format import COLUMNS, NAMED, Content, code, row_shape
from cxrfeat.feature.shard import row_crc32
from cxrfeat.feature.store import write_features
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Features, Labels

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")
SIDES = 24
"""Directions in which images differ; the features mix them, as those of a network are mixtures of fewer causes."""


def blobs(images: int, dim: int, views: int = 1, seed: int = 0) -> tuple[Features, Labels]:
    """`(images, views, dim)` features, not negative, like averages after a ReLU; and `(images,)` class indices."""
    rng = np.random.default_rng([seed, images, dim, views])
    mixture = np.random.default_rng([seed, dim]).normal(size=(SIDES, dim)).astype(np.float32)
    centres = np.random.default_rng([seed]).normal(size=(len(CLASSES), SIDES)) * 0.45
    y = np.arange(images) % len(CLASSES)
    sides = (centres[y] + rng.normal(size=(images, SIDES)))[:, None] + 0.3 * rng.normal(size=(images, views, SIDES))
    X = sides.astype(np.float32) @ mixture / np.float32(SIDES**0.5)
    X += 0.3 * rng.standard_normal(X.shape, dtype=np.float32)
    features: Features = np.maximum(X, 0, out=X)
    return features, y


def write_blobs(path: Path, X: Features, y: Labels, findings: Mapping[str, Labels] | None = None) -> Path:
    """A feature file of them, as if two images of each patient had been extracted.

    Args:
        path: Of the file.
        X: `(images, views, dim)`.
        y: `(images,)` class indices.
        findings: `(images,)` by name: 1 present, 0 absent, -1 uncertain, -2 not stated.
    """
    images, views, dim = X.shape

    def digest(what: str, index: int) -> str:
        return sha256(f"{what} {index}".encode()).hexdigest()

    texts = {"source": "A", "sex": None, "view_position": None, "modality": None, "laterality": None}
    texts |= {
        "container/format": "PNG",
        "container/suffix": ".png",
        "container/mode": "L",
        "container/jpeg_tables": None,
    }
    coded = {name: code([text] * images) for name, text in texts.items()}
    columns: dict[str, NDArray[Any]] = {}
    spec = FeatureSpec(
        backbone=FILE, weights=f"sha256:{'0' * 64}", preprocess="none", view=ViewSpec(size=32, count=views)
    )
    findings = findings or {}
    names: dict[str, list[str]] = {name: [] for name in NAMED} | {"findings": list(findings)}
    for name, (dtype, _) in COLUMNS.items():
        columns[name] = np.zeros((images, *row_shape(name, spec, names)), dtype)
    patients = [len(CLASSES) * (index // (2 * len(CLASSES))) + index % len(CLASSES) for index in range(images)]
    given: dict[str, list[Any]] = {
        "image_id": [digest("id", index)[:32].encode() for index in range(images)],
        "content_sha256": [digest("image", index).encode() for index in range(images)],
        "label": y.tolist(),
        "group": [digest("patient", patient)[:32].encode() for patient in patients],
        "known_patient": [1] * images,
        "split": [-1] * images,
        "bound_split": [-1] * images,
        "crc32": row_crc32(X).tolist(),
    }
    columns |= {name: np.array(values, dtype=COLUMNS[name][0]) for name, values in given.items()}
    columns |= {name: numbers for name, (numbers, _) in coded.items()}
    for at, states in enumerate(findings.values()):
        columns["findings"][:, at] = states
    content = Content(
        spec=spec,
        backbone="blobs",
        dataset="blobs",
        classes=CLASSES,
        columns=columns,
        values={name: values for name, (_, values) in coded.items()} | {"kept_texts": []},
        names=names,
        quarantine=[],
        engine="none",
        versions={"cxrfeat": "0"},
    )
    write_features(path, content, dim, [(np.arange(images), X)])
    return path

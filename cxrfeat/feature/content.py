"""From images, their groups and their computed rows to all that a feature file says beside the features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cxrfeat.feature.committed import ComputedRows
from cxrfeat.feature.format import CODED, COLUMNS, PARTS, Content, code
from cxrfeat.feature.request import Request
from cxrfeat.feature.versions import versions
from cxrfeat.image.group import group_keys
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import ImageRow, Manifest, Quarantined
from cxrfeat.image.split import NO_PART
from cxrfeat.types import Groups, Part


def content_of(
    request: Request,
    manifest: Manifest,
    rows: Sequence[int],
    groups: Groups,
    identity: Identity,
    computed: ComputedRows,
    quarantined: Sequence[Quarantined],
) -> Content:
    """All that a feature file says but the features.

    Args:
        request: The file that is wanted.
        manifest: All images.
        rows: The places in it of those that have features.
        groups: Of all images.
        identity: Salts the ids.
        computed: Their rows, as they were computed.
        quarantined: The images that have none.
    """
    kept: list[ImageRow] = [manifest.rows[index] for index in rows]
    keys = group_keys(manifest.rows, groups)
    texts: dict[str, Callable[[ImageRow], str | None]] = {
        "source": lambda row: row.source,
        "sex": lambda row: row.sex,
        "view_position": lambda row: row.view_position,
        "container/format": lambda row: row.header.format,
        "container/suffix": lambda row: row.header.suffix,
        "container/mode": lambda row: row.header.mode,
        "container/jpeg_tables": lambda row: row.header.jpeg_tables or None,
    }
    coded = {name: code([texts[name](row) for row in kept]) for name in CODED}
    split = request.bound_split
    bound = [-1] * len(rows) if split is None else [_part(split.parts[index]) for index in rows]
    plain: dict[str, Sequence[Any]] = {
        "image_id": [identity.image_id(row.path, row.content_sha256).encode() for row in kept],
        "content_sha256": [row.content_sha256.encode() for row in kept],
        "label": [manifest.classes.index(row.label) for row in kept],
        "group": [identity.group_id(keys[groups[index]]).encode() for index in rows],
        "known_patient": [row.patient is not None for row in kept],
        "split": [-1 if row.split is None else _part(row.split) for row in kept],
        "bound_split": bound,
        "date": [(row.date or "").encode() for row in kept],
        "age": [np.nan if row.age is None else row.age for row in kept],
        "container/width": [row.header.width for row in kept],
        "container/height": [row.header.height for row in kept],
        "container/bits": [row.header.bits for row in kept],
        "container/file_bytes": [row.header.file_bytes for row in kept],
    }
    columns = computed.columns([row.content_sha256 for row in kept])
    columns |= {name: np.array(values, dtype=COLUMNS[name][0]) for name, values in plain.items()}
    columns |= {name: numbers for name, (numbers, _) in coded.items()}
    return Content(
        spec=request.spec,
        backbone=request.network.name,
        dataset=manifest.dataset,
        classes=manifest.classes,
        columns=columns,
        values={name: values for name, (_, values) in coded.items()},
        quarantine=[
            {"image_id": identity.image_id(one.path), "stage": one.stage, "reason": one.reason} for one in quarantined
        ],
        engine=computed.engine,
        versions=versions() | computed.decoders,
    )


def _part(name: str) -> int:
    return -1 if name == NO_PART else PARTS.index(Part(name))

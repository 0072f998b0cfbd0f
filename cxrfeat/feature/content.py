"""From images, their groups and their computed rows to all that a feature file says next to the features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.committed import ComputedRows
from cxrfeat.feature.format import COLUMNS, PARTS, Content, code
from cxrfeat.feature.keys import column
from cxrfeat.feature.request import Request
from cxrfeat.feature.versions import versions
from cxrfeat.image.finding import NOT_STATED
from cxrfeat.image.group import group_keys
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import ImageRow, Manifest, Quarantined
from cxrfeat.image.split import NO_PART
from cxrfeat.types import Groups, Part

_T = TypeVar("_T")


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
        "modality": lambda row: row.modality,
        "laterality": lambda row: row.laterality,
        "container/format": lambda row: row.header.format,
        "container/suffix": lambda row: row.header.suffix,
        "container/mode": lambda row: row.header.mode,
        "container/jpeg_tables": lambda row: row.header.jpeg_tables or None,
    }
    coded = {name: code([read(row) for row in kept]) for name, read in texts.items()}
    named = _named(manifest, kept)
    kept_texts, words = code([text for row in named.texts for text in row])
    coded["kept_texts"] = kept_texts.reshape(len(kept), -1), words
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
    columns = computed.columns(column(row.content_sha256 for row in kept))
    columns |= {name: np.array(values, dtype=COLUMNS[name][0]) for name, values in plain.items()}
    columns |= {name: numbers for name, (numbers, _) in coded.items()}
    columns |= {"findings": named.findings, "kept_numbers": named.numbers}
    return Content(
        spec=request.spec,
        backbone=request.network.name,
        dataset=manifest.dataset,
        classes=manifest.classes,
        columns=columns,
        values={name: values for name, (_, values) in coded.items()},
        names=named.names,
        quarantine=[
            {"image_id": identity.image_id(one.path), "stage": one.stage, "reason": one.reason} for one in quarantined
        ],
        engine=computed.engine,
        versions=versions() | computed.decoders,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """The columns of several names, as `NAMED` has them."""

    names: dict[str, list[str]]
    findings: NDArray[np.int8]
    texts: list[list[str | None]]
    numbers: NDArray[np.float64]


def _named(manifest: Manifest, rows: Sequence[ImageRow]) -> _Named:
    """What is said of findings, and what stands in the columns that the user keeps, of some of the images."""
    titles = manifest.kept_names
    silent = (NOT_STATED,) * len(manifest.finding_names), (None,) * len(titles)
    findings = [silent[0] if row.findings is None else row.findings for row in rows]
    kept = [silent[1] if row.kept is None else row.kept for row in rows]
    # By the whole data set: a column keeps its kind, whichever images can be used.
    every = [row.kept for row in manifest.rows if row.kept is not None]
    number = [any(isinstance(row[at], float) for row in every) for at in range(len(titles))]
    numbers = [[value if isinstance(value, float) else np.nan for value in _where(row, number)] for row in kept]
    return _Named(
        names={
            "findings": list(manifest.finding_names),
            "kept_texts": _where(titles, [not is_ for is_ in number]),
            "kept_numbers": _where(titles, number),
        },
        findings=np.array(findings, np.int8).reshape(len(rows), -1),
        texts=[[None if value is None else str(value) for value in _where(row, [not is_ for is_ in number])]
               for row in kept],
        numbers=np.array(numbers, np.float64).reshape(len(rows), -1),
    )  # fmt: skip


def _where(values: Sequence[_T], chosen: Sequence[bool]) -> list[_T]:
    return [value for value, is_ in zip(values, chosen, strict=True) if is_]


def _part(name: str) -> int:
    return -1 if name == NO_PART else PARTS.index(Part(name))

"""From images, their groups and their computed rows to all that a feature file says next to the features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.committed import FROM_PIXELS, ComputedRows
from cxrfeat.feature.format import COLUMNS, ID, PARTS, Content, code, row_shape
from cxrfeat.feature.lazy import LONG
from cxrfeat.feature.request import Request
from cxrfeat.feature.versions import versions
from cxrfeat.image.finding import NOT_STATED
from cxrfeat.image.group import group_keys
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import ImageRows, Manifest, Quarantined
from cxrfeat.image.split import NO_PART
from cxrfeat.types import Groups, Part

_T = TypeVar("_T")


def content_of(
    request: Request,
    manifest: Manifest,
    rows: NDArray[np.intp],
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
    held, count = manifest.held, len(rows)
    hashes = held.contents if count == len(held) else held.contents[rows]
    coded = {name: _coded(held, field, rows) for name, field in _TEXTS.items()}
    named = _named(manifest, rows)
    coded["kept_texts"] = named.texts
    split = request.bound_split
    ids = [identity.group_id(key) for key in group_keys(held, groups)]
    pairs = zip(held.paths(rows), hashes.tolist(), strict=True)
    columns: dict[str, NDArray[Any]] = {
        "image_id": np.fromiter((identity.image_id(path, sha.decode()) for path, sha in pairs), ID, count),
        "content_sha256": hashes,
        "label": manifest.labels[rows],
        "group": np.array(ids, ID)[groups[rows]],
        "known_patient": _each(held, "patient", rows, lambda patient: patient is not None),
        "split": _each(held, "split", rows, lambda part: -1 if part is None else _part(part)),
        "bound_split": np.full(count, -1) if split is None else _parts(split.parts[rows]),
        "date": _each(held, "date", rows, lambda date: (date or "").encode()),
        "age": _each(held, "age", rows, lambda age: np.nan if age is None else age),
        "container/width": held.number("width")[rows],
        "container/height": held.number("height")[rows],
        "container/bits": _each(held, "bits", rows, int),
        "container/file_bytes": held.number("file_bytes")[rows],
    }
    columns = {name: values.astype(COLUMNS[name][0], copy=False) for name, values in columns.items()}
    columns |= computed.columns(hashes, [name for name in FROM_PIXELS if name not in LONG])
    columns |= {name: computed.late(hashes, name, row_shape(name, request.spec, named.names)) for name in LONG}
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
    texts: tuple[NDArray[np.int32], list[str]]
    """`(images, texts)` numbers of a list, as `code` gives them."""
    numbers: NDArray[np.float64]


_TEXTS = {
    "source": "source", "sex": "sex", "view_position": "view_position", "modality": "modality",
    "laterality": "laterality", "container/format": "format", "container/suffix": "suffix", "container/mode": "mode",
    "container/jpeg_tables": "jpeg_tables",
}  # fmt: skip
"""Columns of texts, and the fields of a row or of its header that they are of."""


def _coded(held: ImageRows, name: str, rows: NDArray[np.intp]) -> tuple[NDArray[np.int32], list[str]]:
    """As `code` of a field of some rows."""
    codes, values = held.coded(name)
    codes = codes[rows]
    told = sorted({values[one] for one in np.unique(codes).tolist() if values[one]})
    place = {text: index for index, text in enumerate(told)}
    number = np.array([place.get(value, -1) for value in values], np.int32)
    return number[codes] if len(codes) else np.empty(0, np.int32), told


def _each(held: ImageRows, name: str, rows: NDArray[np.intp], told: Callable[[Any], Any]) -> NDArray[Any]:
    """What each value of a field of some rows says."""
    codes, values = held.coded(name)
    return np.array([told(value) for value in values])[codes[rows]]


def _parts(names: NDArray[Any]) -> NDArray[np.int64]:
    different, place = np.unique(names, return_inverse=True)
    return np.array([_part(name) for name in different.tolist()], np.int64)[place]


def _named(manifest: Manifest, rows: NDArray[np.intp]) -> _Named:
    """What is said of findings, and what stands in the columns that the user keeps, of some of the images."""
    titles = manifest.kept_names
    silent = (NOT_STATED,) * len(manifest.finding_names), (None,) * len(titles)
    codes, said = manifest.held.coded("findings")
    findings = np.array([silent[0] if one is None else one for one in said], np.int8)
    kept_codes, every = manifest.held.coded("kept")
    # By the whole data set: a column keeps its kind, whichever images can be used.
    number = [any(isinstance(row[at], float) for row in every if row is not None) for at in range(len(titles))]
    kept = [silent[1] if row is None else row for row in every]
    numbers = [[value if isinstance(value, float) else np.nan for value in _where(row, number)] for row in kept]
    texts = [
        [None if value is None else str(value) for value in _where(row, [not is_ for is_ in number])] for row in kept
    ]
    kept_codes = kept_codes[rows]
    there = np.unique(kept_codes)
    numbered, words = code([text for place in there.tolist() for text in texts[place]])
    numbered = numbered.reshape(len(there), number.count(False))
    return _Named(
        names={
            "findings": list(manifest.finding_names),
            "kept_texts": _where(titles, [not is_ for is_ in number]),
            "kept_numbers": _where(titles, number),
        },
        findings=findings.reshape(len(said), -1)[codes[rows]],
        texts=(numbered[np.searchsorted(there, kept_codes)], words),
        numbers=np.array(numbers, np.float64).reshape(len(kept), -1)[kept_codes],
    )


def _where(values: Sequence[_T], chosen: Sequence[bool]) -> list[_T]:
    return [value for value, is_ in zip(values, chosen, strict=True) if is_]


def _part(name: str) -> int:
    return -1 if name == NO_PART else PARTS.index(Part(name))

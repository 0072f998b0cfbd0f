"""What is to be made of which images, written down so that whoever has the shards can build the file without them.

It names images and patients, so it is readable by its owner alone, and it goes with the shards once the file stands.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.backbone.network import Network
from cxrfeat.errors import IntegrityError, SpecError
from cxrfeat.feature.request import Request
from cxrfeat.feature.split import Split
from cxrfeat.image.row import Header, ImageRow, Manifest, Quarantined
from cxrfeat.spec import FeatureSpec, fingerprint, from_dict, to_dict
from cxrfeat.types import Part

_NOT_KEPT = ("mask",)  # masks have done their part once there are views
_NOT_TOLD = ("root", "shares")  # the same order, whoever gives it


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One feature file that several processes compute shards of."""

    request: Request
    manifest: Manifest
    """All images, under the name that their folder gives."""
    shares: int
    """Into how many parts the plan was cut last, so that a missing one can be named."""

    @property
    def key(self) -> str:
        """Equal for orders of the same features of a data set of the same name, whichever images it has."""
        return f"{self.manifest.dataset} {self.request.network.name} {fingerprint(self.request.spec)}"

    def to_bytes(self) -> bytes:
        """As `read_order` reads it."""
        text = _text(self._told())
        return hashlib.sha256(text).digest() + zlib.compress(text, 1)

    def same(self, other: Order) -> bool:
        """Whether a file made by the one is a file made by the other; where the images lie does not matter."""
        told = [{key: value for key, value in each._told().items() if key not in _NOT_TOLD} for each in (self, other)]
        return _text(told[0]) == _text(told[1])  # numbers that are none are equal there

    def _told(self) -> dict[str, Any]:
        manifest, split = self.manifest, self.request.bound_split
        names = [one.name for one in fields(ImageRow) if one.name not in _NOT_KEPT]
        rows = [[_plain(getattr(row, name)) for name in names] for row in manifest.rows]
        return {
            "shares": self.shares,
            "name": self.request.network.name,
            "random": self.request.network.random,
            "spec": to_dict(self.request.spec),
            "parts": None if split is None else split.parts.tolist(),
            "dataset": manifest.dataset,
            "root": str(manifest.root.resolve()),
            "classes": list(manifest.classes),
            "finding_names": list(manifest.finding_names),
            "kept_names": list(manifest.kept_names),
            "quarantined": [asdict(one) for one in manifest.quarantined],
            "columns": names,
            "rows": rows,
        }


def _text(told: dict[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    return asdict(value) if isinstance(value, Header) else value


def read_order(path: Path) -> Order:
    """What `Order.to_bytes` gave.

    Raises:
        IntegrityError: If it is damaged, or of another version.
        OSError: If it cannot be read.
    """
    content = path.read_bytes()
    try:
        text = zlib.decompress(content[32:])
        if hashlib.sha256(text).digest() != content[:32]:
            raise ValueError("its digest does not match")
        return _order(json.loads(text))
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, SpecError) as error:
        raise IntegrityError(
            f"{path} does not say what is to be made ({error}). Run `cxrfeat extract` with any `shard` again, in "
            "this version: what is computed already is kept."
        ) from error


def _order(told: dict[str, Any]) -> Order:
    spec = from_dict(FeatureSpec, told["spec"])
    rows = tuple(_row(dict(zip(told["columns"], row, strict=True))) for row in told["rows"])
    manifest = Manifest(
        dataset=told["dataset"],
        root=Path(told["root"]),
        rows=rows,
        quarantined=tuple(Quarantined(**one) for one in told["quarantined"]),
        classes=tuple(told["classes"]),
        finding_names=tuple(told["finding_names"]),
        kept_names=tuple(told["kept_names"]),
    )
    split = None
    if told["parts"] is not None:
        contents = [row.content_sha256 for row in rows]
        parts = np.array(told["parts"], dtype="<U10")
        split = Split.of(parts, contents, manifest.labels, manifest.classes, by="bound", seed=0)
    network = Network(
        name=told["name"],
        backbone=spec.backbone,
        weights=spec.weights,
        preprocess=spec.preprocess,
        size=spec.view.size,
        seed=0 if told["random"] else None,  # that it is random is all that is asked of it
    )
    return Order(request=Request(network=network, spec=spec, bound_split=split), manifest=manifest,
                 shares=int(told["shares"]))  # fmt: skip


def _row(told: dict[str, Any]) -> ImageRow:
    header = Header(**told.pop("header"))
    split = told.pop("split")
    lists: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return ImageRow(header=header, split=None if split is None else Part(split), **lists)

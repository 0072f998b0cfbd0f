from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.feature.order import Order, read_order
from cxrfeat.feature.split import Split
from cxrfeat.image.index import index_folder
from cxrfeat.types import Part
from tests.stub import stub_request


@pytest.fixture
def order(phantoms: Path) -> Order:
    """With everything that an image may have, and a split that the features are bound to."""
    manifest = index_folder(phantoms)
    said: dict[str, Any] = {"findings": (1, -2), "age": 61.5, "split": Part.TEST, "kept": ("Siemens", 1.5, None)}
    rows = [replace(row, **said) for row in manifest.rows]
    names: dict[str, Any] = {"finding_names": ("Edema", "Effusion"), "kept_names": ("maker", "dose", "note")}
    manifest = replace(manifest, rows=tuple(rows), **names)
    parts = np.array([("train", "test", "none")[number % 3] for number in range(len(rows))])
    contents = [row.content_sha256 for row in rows]
    split = Split.of(parts, contents, manifest.labels, manifest.classes, by="bound", seed=0)
    request = stub_request(views=3)
    request = replace(request, spec=replace(request.spec, split=split.sha256), bound_split=split)
    return Order(request=request, manifest=manifest, shares=3)


def test_what_is_read_is_what_was_told(tmp_path: Path, order: Order) -> None:
    (tmp_path / "order").write_bytes(order.to_bytes())
    read = read_order(tmp_path / "order")
    assert [replace(row, mask=None) for row in order.manifest.rows] == list(read.manifest.rows)
    assert read.manifest.kept_names == order.manifest.kept_names
    assert read.manifest.finding_names == order.manifest.finding_names
    assert (read.request.spec, read.request.network.name, read.shares) == (order.request.spec, "stub", 3)
    assert read.request.bound_split is not None
    assert order.request.bound_split is not None
    assert read.request.bound_split.parts.tolist() == order.request.bound_split.parts.tolist()
    assert read.same(order)
    assert read.key == order.key
    assert read.same(replace(order, shares=7)), "into how many shares they are cut does not matter"
    fewer = replace(order.manifest, rows=order.manifest.rows[1:])
    assert not replace(order, manifest=fewer).same(order)


@pytest.mark.parametrize("spoil", ["cut", "flip", "other"])
def test_a_damaged_order_is_refused_with_what_to_do(tmp_path: Path, order: Order, spoil: str) -> None:
    content = order.to_bytes()
    other = json.dumps({"rows": []}).encode()
    spoilt = {
        "cut": content[:-9],
        "flip": bytes([content[0] ^ 1]) + content[1:],
        "other": hashlib.sha256(other).digest() + zlib.compress(other),
    }
    (tmp_path / "order").write_bytes(spoilt[spoil])
    with pytest.raises(IntegrityError, match=r"does not say what is to be made .*again"):
        read_order(tmp_path / "order")

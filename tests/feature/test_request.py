"""A description has a file of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.request import feature_path, name_masks
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import find_masks, masks_digest
from cxrfeat.spec import ViewSpec, fingerprint
from tests.feature.images import extract, make_data
from tests.stub import stub_request


def test_a_file_is_named_after_data_network_and_description() -> None:
    spec = stub_request().spec
    path = feature_path(Path("features"), "chests", "net", spec)
    assert path == Path("features") / f"chests-net-{fingerprint(spec)[:8]}.h5"


def test_another_description_makes_another_file(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 1)
    paths = {
        extract(data, tmp_path / "f", request)[0].path
        for request in (
            stub_request(),
            stub_request(views=3),
            stub_request(size=48),
            stub_request(storage="float16"),
            stub_request(normalize="none"),
            stub_request(weights="2" * 64),
        )
    }
    assert len(paths) == 6


def test_a_description_names_the_masks_that_it_uses(phantoms: Path) -> None:
    manifest = index_folder(phantoms)
    masks = find_masks(manifest.rows, manifest.root)
    lungs, plain = ViewSpec(size=32, mask="lungs"), ViewSpec(size=32)
    assert name_masks(lungs, manifest, masks).masks == masks_digest(masks)
    assert name_masks(plain, manifest, masks) == plain, "what takes no mask names none"
    assert name_masks(replace(plain, mask="outside"), manifest, {}).masks is None, "the template stands in"
    with pytest.raises(InputError, match=r"have no lung mask, such as .*`mask=lungs` keeps nothing else"):
        name_masks(lungs, manifest, {})
    few = dict(list(masks.items())[:1])
    with pytest.raises(InputError, match=r"of class .* most have none"):
        name_masks(lungs, manifest, few)

"""A description has a file of its own."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.feature.request import feature_path
from cxrfeat.spec import fingerprint
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

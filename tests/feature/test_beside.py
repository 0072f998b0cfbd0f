"""The search for copies beside the network: begun before its end, with what is found at the end too, and never left."""

from __future__ import annotations

import threading
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.network import Network
from cxrfeat.feature import beside
from cxrfeat.feature.beside import Copies
from cxrfeat.image.group import group_copies
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Views
from tests.feature.images import extract, make_copies, make_data
from tests.image.test_group import row
from tests.stub import StubEngine, StubFactory, stub_request

ROWS = [row(content) for content in "abcd"]


def looks(contents: str) -> dict[str, tuple[NDArray[np.uint8], int]]:
    """Those of `a` and `d` are of one picture."""
    draw = np.random.default_rng(0)
    portraits = dict(zip("abc", draw.integers(0, 256, (3, 40, 40), dtype=np.uint8), strict=True))
    portraits["d"] = portraits["a"][::-1]
    return {content: (portraits[content], ord(content)) for content in contents}


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which copies were looked for."""
    made: list[str] = []

    def noted(*given: Any) -> Any:
        made.append(threading.current_thread().name)
        return group_copies(*given)

    monkeypatch.setattr(beside, "group_copies", noted)
    return made


def gone() -> bool:
    return not any(thread.name.startswith("copies") for thread in threading.enumerate())


def test_what_was_begun_is_taken_where_the_images_are_the_same(searches: list[str]) -> None:
    with Copies(ROWS) as copies:
        copies.begin(looks("abcd"))
        copies.begin(looks("ab"))  # too late
        assert copies.groups(looks("dcba")).tolist() == [0, 1, 2, 0]
    assert len(searches) == 1
    assert searches[0].startswith("copies")
    assert gone()


@pytest.mark.parametrize("begun", ["", "abc"])
def test_other_images_than_were_begun_with_are_looked_through_at_the_end(searches: list[str], begun: str) -> None:
    with Copies(ROWS) as copies:
        if begun:
            copies.begin(looks(begun))
        assert copies.groups(looks("abcd")).tolist() == [0, 1, 2, 0]
    assert threading.current_thread().name in searches
    assert gone()


def test_an_error_ends_the_search_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def long(_rows: object, _looks: object, stop: Event) -> None:
        ended.append(stop.wait(60))

    def interrupted() -> None:
        with Copies(ROWS) as copies:
            copies.begin(looks("abcd"))
            raise KeyboardInterrupt

    monkeypatch.setattr(beside, "group_copies", long)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended in ([True], [])
    assert gone()


class Waiting(StubEngine):
    """Computes nothing after so many views before copies are looked for."""

    sought = Event()
    after = 0

    def run(self, views: Views) -> Features:
        if self.rows + len(views) > self.after:
            assert self.sought.wait(30), "the search waits for the network"
        return super().run(views)


@pytest.fixture
def sought(monkeypatch: pytest.MonkeyPatch) -> Event:
    event = Event()

    def noted(*given: Any) -> Any:
        event.set()
        return group_copies(*given)

    monkeypatch.setattr(beside, "group_copies", noted)
    monkeypatch.setattr(Waiting, "sought", event)
    return event


def waiting(network: Network, spec: FeatureSpec, batch: int, threads: int) -> StubEngine:
    return Waiting(network, spec, batch, threads)


def test_copies_are_looked_for_while_the_last_features_are_computed(
    tmp_path: Path, sought: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_copies(tmp_path / "data")
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 8)
    monkeypatch.setattr(Waiting, "after", 44)
    made = extract(tmp_path / "data", tmp_path / "f", stub=waiting)  # type: ignore[arg-type]  # makes engines too
    assert sought.is_set()
    plain = extract(tmp_path / "data", tmp_path / "plain", stub=StubFactory())
    assert made[0].path.read_bytes() == plain[0].path.read_bytes()


def test_copies_are_looked_for_from_the_first_on_where_a_network_is_done_already(tmp_path: Path, sought: Event) -> None:
    data = make_data(tmp_path / "data")
    one, other = stub_request("one"), stub_request("two", size=48, weights="1" * 64)
    extract(data, tmp_path / "f", one)
    sought.clear()
    extract(data, tmp_path / "f", one, other, stub=waiting)  # type: ignore[arg-type]  # as above
    assert sought.is_set()

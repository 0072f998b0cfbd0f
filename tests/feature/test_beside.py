"""The search for copies beside the network: image after image, with what is found at the end too, and never left."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxrfeat.backbone.network import Network
from cxrfeat.feature import beside
from cxrfeat.feature.beside import Copies
from cxrfeat.feature.keys import Keys
from cxrfeat.image import duplicate
from cxrfeat.image.duplicate import Search
from cxrfeat.image.group import group_copies
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Views
from tests.effort import expensive
from tests.feature.images import break_image, extract, make_copies, make_data
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
def whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which copies were looked for among all images once more."""
    made: list[str] = []

    class Noted(Copies):
        def __init__(self, *given: Any) -> None:
            made.append(threading.current_thread().name)
            super().__init__(*given)

    monkeypatch.setattr(beside, "Copies", Noted)
    return made


def gone() -> bool:
    return not any(thread.name.startswith("copies") for thread in threading.enumerate())


@expensive(12)
@given(st.data())
def test_groups_are_those_of_all_images_in_whatever_order_they_were_told(data: st.DataObject) -> None:
    """Told in parts, some of them twice or as unusable, and some not at all."""
    usable = "".join(data.draw(st.lists(st.sampled_from("abcd"), unique=True)))
    order = "".join(data.draw(st.permutations("abcd")))
    cut = data.draw(st.integers(0, 4))
    seen = looks(usable)
    with Copies(ROWS) as copies:
        for part in (order[:cut], order[cut : data.draw(st.integers(0, 4))]):
            copies.tell({sha: seen.get(sha) for sha in part})
        found = copies.groups(lambda: [{sha: seen[sha] for sha in usable}])
    assert found.tolist() == group_copies(ROWS, seen).tolist()
    assert gone()


def test_what_was_told_is_not_looked_through_again_at_the_end(whole: list[str]) -> None:
    with Copies(ROWS) as copies:
        copies.tell({**looks("db"), "c": None})
        copies.tell({**looks("ac"), "z": None})
        assert copies.groups(lambda: [looks("dba")]).tolist() == [0, 1, 2, 0]
    assert whole == []


def test_known_contents_are_shared_where_they_are_those_of_the_rows() -> None:
    known = Keys("abcd")
    for some, shared in ((known, True), (Keys("abc"), False), (None, False)):
        with Copies(ROWS, None, some) as copies:
            assert (copies.contents is some) is shared
            assert copies.contents == set("abcd")
            assert copies.groups(lambda: [looks("abc")]).tolist() == group_copies(ROWS, looks("abc")).tolist()


@pytest.mark.parametrize("told", ["abc", "ab"])
def test_other_images_than_were_told_are_looked_through_at_the_end(whole: list[str], told: str) -> None:
    with Copies(ROWS) as copies:
        copies.tell({**dict.fromkeys("abcd"), **looks(told)})
        assert copies.groups(lambda: [looks("abcd")]).tolist() == [0, 1, 2, 0]
    assert whole == [threading.current_thread().name]
    assert gone()


def test_an_image_is_compared_as_soon_as_those_before_it_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    added = threading.Semaphore(0)

    class Noted(Search):
        def add(self, some: Any) -> None:
            compared.extend(digest for _, digest in some)
            super().add(some)
            added.release()

    monkeypatch.setattr(beside, "Search", Noted)
    with Copies(ROWS) as copies:
        copies.tell(looks("bc"))
        assert not added.acquire(timeout=0.1)
        copies.tell(looks("a"))
        assert added.acquire(timeout=30)
        assert compared == [ord("a"), ord("b"), ord("c")]
        copies.tell({"d": None})
        assert copies.groups(lambda: [looks("abc")]).tolist() == [0, 1, 2, 3]


def test_an_error_ends_the_search_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = Event(), []

    class Long(Search):
        def add(self, some: Any) -> None:
            begun.set()
            ended.append(self._stop.wait(60))

    def interrupted() -> None:
        with Copies(ROWS) as copies:
            copies.tell(looks("abcd"))
            begun.wait(30)
            raise KeyboardInterrupt

    monkeypatch.setattr(beside, "Search", Long)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended == [True]
    assert gone()


def test_an_error_of_the_search_is_raised_when_groups_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Search):
        def add(self, some: Any) -> None:
            raise CancelledError

    monkeypatch.setattr(beside, "Search", Broken)
    with Copies(ROWS) as copies:
        copies.tell(looks("a"))
        copies.tell(looks("b"))
        with pytest.raises(CancelledError):
            copies.groups(lambda: [looks("ab")])
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
    """Set when pictures are compared."""
    event = Event()

    def noted(*given: Any) -> Any:
        event.set()
        return confirmed(*given)

    confirmed = duplicate._confirmed
    monkeypatch.setattr(duplicate, "_confirmed", noted)
    monkeypatch.setattr(Waiting, "sought", event)
    return event


def waiting(network: Network, spec: FeatureSpec, batch: int, threads: int) -> StubEngine:
    return Waiting(network, spec, batch, threads)


@pytest.mark.few(1)
@pytest.mark.parametrize(("block", "after"), [(4, 20), (2048, 44)])
def test_copies_are_looked_for_while_features_are_computed(
    tmp_path: Path, sought: Event, whole: list[str], monkeypatch: pytest.MonkeyPatch, block: int, after: int
) -> None:
    """In blocks as images come, and where there are few, from when the last was looked at.

    A file that cannot be used is among them, which must not hold up those after it.
    """
    folder = tmp_path / "data"
    make_copies(folder)
    break_image(folder / "A" / "image10.png")
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 8)
    monkeypatch.setattr(Waiting, "after", after)
    with monkeypatch.context() as patched:
        patched.setattr("cxrfeat.image.candidate._BLOCK", block)
        patched.setattr("cxrfeat.image.candidate.SAMPLE", min(block, 2000))
        patched.setattr("cxrfeat.image.candidate._ROWS", 4)
        made = extract(folder, tmp_path / "f", stub=waiting)  # type: ignore[arg-type]  # makes engines too
    assert sought.is_set()
    assert whole == [], "once is enough"
    plain = extract(folder, tmp_path / "plain", stub=StubFactory())
    assert made[0].path.read_bytes() == plain[0].path.read_bytes()


def test_copies_are_looked_for_from_the_first_on_where_a_network_is_done_already(tmp_path: Path, sought: Event) -> None:
    data = make_data(tmp_path / "data")
    one, other = stub_request("one"), stub_request("two", size=48, weights="1" * 64)
    extract(data, tmp_path / "f", one)
    sought.clear()
    extract(data, tmp_path / "f", one, other, stub=waiting)  # type: ignore[arg-type]  # as above
    assert sought.is_set()

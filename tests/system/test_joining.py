"""How a cluster is reached, or not; a real one is started in `test_cluster.py`."""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from cxrfeat.errors import InputError, MissingExtraError, UsageError
from cxrfeat.system import joining
from cxrfeat.system.joining import _environment, check_ray, joined, where


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """Something at an address that is not Ray; it says nothing, or this."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        lines = []

        def serve() -> None:
            line, _ = server.accept()
            lines.append(line)
            if answer is not None:
                line.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for line in lines:
            line.close()


def test_without_ray_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"^`runner=ray` needs the extra ray: pip install 'cxrfeat\[ray\]'\.$"):
        check_ray()


@pytest.mark.parametrize("answer", [None, b"HTTP/1.0 200 OK\r\n\r\n", b""])
def test_what_does_not_answer_as_ray_is_refused_in_time(monkeypatch: pytest.MonkeyPatch, answer: bytes | None) -> None:
    monkeypatch.setattr(joining, "check_ray", lambda: None)
    monkeypatch.setattr(joining, "REACH", 0.3)
    with listening(answer) as address:
        start = time.monotonic()
        with pytest.raises(InputError, match=rf"cluster at {address} cannot be reached .*ray status"), joined(address):
            pass
        assert time.monotonic() - start < 10
    with pytest.raises(InputError, match="cannot be reached"), joined(address):  # nobody there any more
        pass


@pytest.mark.parametrize("address", ["here", "here:", "here:port", ":6379", "here:70000"])
def test_what_is_no_address_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(joining, "check_ray", lambda: None)
    with pytest.raises(UsageError, match="`address` is HOST:PORT"), joined(address):
        pass


def test_the_environment_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with _environment(own=True):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    assert "RAY_AUTH_TOKEN" not in os.environ
    monkeypatch.setenv("RAY_ADDRESS", "there:6379")
    assert (where(None), where("here:1")) == ("there:6379", "here:1")

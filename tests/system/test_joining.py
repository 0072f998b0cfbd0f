"""How a cluster is reached, or not; a real one is started in `test_cluster.py`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from cxrfeat.errors import InputError, MissingExtraError, UsageError
from cxrfeat.system import joining
from cxrfeat.system.joining import _environment, check_answers, joined, where


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """Something at an address that is not Ray; it says nothing, or this."""
    with ExitStack() as held:
        server = held.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            with contextlib.suppress(OSError):  # until the server is closed
                while True:
                    line = held.enter_context(server.accept()[0])
                    if answer is not None:
                        line.sendall(answer)
                        line.shutdown(socket.SHUT_WR)

        serving = threading.Thread(target=serve)
        serving.start()
        held.callback(serving.join)
        held.callback(server.shutdown, socket.SHUT_RDWR)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray is here, as far as it goes, and does not wait long."""
    pytest.importorskip("grpc", reason="it comes with the extra ray")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(joining, "REACH", 0.3)


def test_without_ray_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"^`runner=ray` needs the extra ray: pip install 'cxrfeat\[ray\]'\.$"):
        check_answers(None)


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("client", ["", "ray://"])
@pytest.mark.parametrize("answer", [None, b"HTTP/1.0 200 OK\r\n\r\n", b""])
def test_what_does_not_answer_as_ray_is_refused_in_time(answer: bytes | None, client: str) -> None:
    with listening(answer) as place:
        start, address = time.monotonic(), client + place
        with pytest.raises(InputError, match=rf"cluster at {address} cannot be reached \(nothing .*\).*ray status"):
            check_answers(address)
        assert time.monotonic() - start < 10
    with pytest.raises(InputError, match="cannot be reached"), joined(address):  # nobody there any more
        pass


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("client", ["", "ray://"])
def test_what_speaks_as_ray_does_and_is_something_else_is_refused_in_time(client: str) -> None:
    """A server of the same protocol, which knows none of Ray's methods, or all and never ends."""
    import grpc

    over = threading.Event()

    class Never(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
        def service(self, call: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda *_: over.wait(60) and b"")

    for handlers in ([], [Never()]):
        server = grpc.server(ThreadPoolExecutor(2), handlers=handlers)
        address = f"{client}127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        start = time.monotonic()
        with pytest.raises(InputError, match="nothing there answers as Ray does within"):
            check_answers(address)
        assert time.monotonic() - start < 10
        server.stop(None)
    over.set()


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("address", ["here", "here:", "here:port", ":6379", "here:70000"])
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
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

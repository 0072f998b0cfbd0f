"""How a Ray cluster is joined, or started on this machine and ended; beside `cluster` the only place that knows Ray."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cxrfeat.errors import InputError, MissingExtraError, UsageError
from cxrfeat.system.process import threads

OWN = "local"
"""In place of an address: a cluster of this machine alone, for as long as it is used."""

REACH = 5.0
"""Seconds in which a cluster must answer; Ray itself waits two minutes, then ends the process."""

_ASKED = 10
"""Times, a second apart, that Ray asks a cluster that answers in part for the rest, in place of 20."""

_TRIES = 3
"""Times that starting a cluster here is tried: Ray gives up after half a minute, which a busy machine can take."""

_END = 10.0
"""Seconds for the processes of a cluster to end by themselves."""

_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@contextlib.contextmanager
def joined(address: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster for the time of the block.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, or `auto` for this machine's; `None` is `$RAY_ADDRESS`, else a new one,
            on loopback alone, which ends with the block.

    Raises:
        MissingExtraError: If Ray is not installed.
        InputError: If the cluster cannot be reached, or started.
        UsageError: If that is no address.
    """
    address = where(address)
    check_ray()
    if address != OWN:
        _check_reachable(address)
    with ExitStack() as stack:
        stack.enter_context(_environment(own=address == OWN))
        ray = _import_ray(own=address == OWN)
        if not ray.is_initialized():  # a program that uses Ray already stays on its cluster
            _connect(ray, address, stack)
        yield ray


def where(address: str | None) -> str:
    """The address that is meant where none is given."""
    return address or os.environ.get("RAY_ADDRESS") or OWN


def _connect(ray: Any, address: str, stack: ExitStack) -> None:  # noqa: ANN401  # Ray has no types
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address == OWN:
        place = tempfile.mkdtemp(prefix="cxrfeat-")  # short: the names of sockets end at 107 bytes
        own: set[tuple[int, str]] = set()
        stack.callback(_clear_away, place, own)
        settings |= {"num_cpus": threads(), "include_dashboard": False, "_temp_dir": place}
        stack.callback(ray.shutdown)
        stack.callback(lambda: own.update(_family(place)))
    else:
        stack.callback(ray.shutdown)
    for left in reversed(range(_TRIES if address == OWN else 1)):
        try:
            with _hushed():
                ray.init(address=address, **settings)
            stack.enter_context(_untold(ray))
            return
        except (Exception, SystemExit) as error:  # Ray has no class for it, and ends the process for one kind
            ray.shutdown()
            if not left:
                raise InputError(_unreachable(address, f"Ray says: {first_line(error)}")) from error


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def check_ray() -> None:
    """Check that Ray is there, before any work is done for it.

    Raises:
        MissingExtraError: If it is not.
    """
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("`runner=ray` needs the extra ray: pip install 'cxrfeat[ray]'.")


def _import_ray(*, own: bool) -> Any:  # noqa: ANN401  # Ray has no types
    check_ray()
    import ray
    import ray.exceptions
    from ray._private import ray_constants

    if own:  # read from the environment when it was first imported, which may be long ago
        ray_constants.ENABLE_RAY_CLUSTER = False
    else:
        ray_constants.NUM_REDIS_GET_RETRIES = _ASKED
    return ray


@contextlib.contextmanager
def _environment(*, own: bool) -> Iterator[None]:
    """What Ray reads from the environment, put back afterwards.

    An address of loopback is taken for the machine's own otherwise, and all of its servers listen on every interface;
    the variable that ends this is named after the systems for which it was made, and holds on Linux too. The token goes
    into a file in the home folder unless it is here. Ray's workers are nicer than this process by 15, and get a small
    part of the cores where anything else runs; those that are started here are as nice as it is.
    """
    wanted = {"RAY_USAGE_STATS_ENABLED": "0"}
    if own:
        wanted |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_TOKEN": _token(), "RAY_worker_niceness": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        _put_back(before)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Without what Ray says on stderr, past Python, while it begins; what it starts then says nothing there either."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _untold(ray: Any) -> Iterator[None]:  # noqa: ANN401  # Ray has no types
    """Without what Ray prints of workers that die, ten lines for each, which no setting ends; all of it is seen to."""
    worker = ray._private.worker
    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before


def _clear_away(place: str, own: set[tuple[int, str]]) -> None:
    """Wait until nothing is left of a cluster that was ended, in the memory and on the disk."""
    until = time.monotonic() + _END
    while left := own & _processes().keys() | _family(place):
        if time.monotonic() > until:
            for process, _ in left:
                with contextlib.suppress(OSError):  # gone meanwhile
                    os.kill(process, signal.SIGKILL)
            break
        time.sleep(0.1)
    shutil.rmtree(place, ignore_errors=True)


def _family(place: str) -> set[tuple[int, str]]:
    """Processes whose command names this folder, and all that they started: workers give themselves other names."""
    parents = _processes()
    found = {one for one in parents if place.encode() in _command(one[0])}
    numbers = {process for process, _ in found}
    while more := {one for one, parent in parents.items() if parent in numbers and one not in found}:
        found |= more
        numbers |= {process for process, _ in more}
    return found


def _processes() -> dict[tuple[int, str], int]:
    """The parent of each, where the system gives it; by number and the time when it began, for numbers come again."""
    found = {}
    for told in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone meanwhile
            _, _, rest = told.read_text(errors="replace").rpartition(")")
            state, parent, *others = rest.split()
            if state != "Z":
                found[int(told.parent.name), others[17]] = int(parent)
    return found


def _command(process: int) -> bytes:
    with contextlib.suppress(OSError):  # gone meanwhile, or of another user
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


@functools.cache
def _token() -> str:
    """Of all clusters that this process starts: Ray reads it once, and knows no other afterwards."""
    return secrets.token_hex(32)


def _put_back(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _check_reachable(address: str) -> None:
    """Refuse at once what Ray would try for two minutes.

    Raises:
        InputError: If nothing answers there, or something else.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return  # Ray knows at once
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"`address` is HOST:PORT, ray://HOST:PORT or auto; got {address!r}.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH) as line:
            line.settimeout(REACH)
            if os.environ.get("RAY_USE_TLS", "0") in ("", "0"):
                line.sendall(_HTTP2)  # what every gRPC server answers by its settings
                if line.recv(9)[3:4] != b"\x04":
                    raise InputError(_unreachable(address, "what answers there is not Ray"))
    except OSError as error:
        raise InputError(_unreachable(address, str(error) or "no answer")) from error


def _unreachable(address: str, why: str) -> str:
    if address == OWN:
        return f"No cluster can be started here ({why}). Try again when the machine is less busy, or omit `runner`."
    return (
        f"The cluster at {address} cannot be reached ({why}). Check the address and that the cluster runs, with "
        "`ray status`; or omit `address` to start one on this machine."
    )

"""How a Ray cluster is joined, or started on this machine and ended; beside `cluster` the only place that knows Ray."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
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
"""Seconds in which a cluster must answer each question; Ray itself waits minutes, then ends the process."""

_TRIES = 3
"""Times that starting a cluster here is tried: Ray gives up after half a minute, which a busy machine can take."""

_END = 10.0
"""Seconds for the processes of a cluster to end by themselves."""

_CLIENT = "ray://"
"""Before the address of a server that stands between a cluster and programs that run beside it."""

_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive", b""
"""What only Ray's head answers, and the question, as protobuf has it."""

_PING = "/ray.rpc.RayletDriver/ClusterInfo", b"\x08\x06"
"""The same of a server for clients: PING is its sixth kind of question."""


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
    check_answers(address)
    address = where(address)
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
        _check_joinable(ray, address)
        stack.callback(ray.shutdown)
    for left in reversed(range(_TRIES if address == OWN else 1)):
        try:
            with _hushed(), _terminated_as_before(ray):
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


def check_answers(address: str | None) -> None:
    """Check, before any work is done for it, that Ray is installed here and answers there.

    Args:
        address: As in `joined`.

    Raises:
        MissingExtraError: If it is not.
        InputError: If it does not.
        UsageError: If that is no address.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("`runner=ray` needs the extra ray: pip install 'cxrfeat[ray]'.")
    address = where(address)
    if address not in (OWN, "auto"):
        _check_reachable(address)


def _import_ray(*, own: bool) -> Any:  # noqa: ANN401  # Ray has no types
    import ray
    import ray.exceptions
    from ray._private import ray_constants

    if own:  # read from the environment when it was first imported, which may be long ago
        ray_constants.ENABLE_RAY_CLUSTER = False
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
    """Refuse in seconds what Ray would try for minutes.

    Raises:
        InputError: If nothing answers there, or something else.
        UsageError: If that is no address.
    """
    place = address.removeprefix(_CLIENT)
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"`address` is HOST:PORT, ray://HOST:PORT or auto; got {address!r}.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH):
            pass
    except OSError as error:
        raise InputError(_unreachable(address, str(error) or "no answer")) from error
    import grpc

    secure = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    with _secure_channel(place) if secure else grpc.insecure_channel(place) as channel:
        method, question = _PING if address != place else _ALIVE
        try:
            channel.unary_unary(method)(question, timeout=REACH)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:  # the token, Ray itself knows where to find
                why = f"nothing there answers as Ray does within {REACH:g} seconds"
                raise InputError(_unreachable(address, why)) from error


def answers(address: str) -> bool:
    """Whether a cluster that was joined still answers, within seconds.

    Args:
        address: As `found_at` gives it.
    """
    try:
        _check_reachable(address)
    except InputError:
        return False
    return True


def found_at(ray: Any, address: str | None) -> str:  # noqa: ANN401  # Ray has no types
    """Where a cluster that was joined answers: its head, or its server for clients."""
    address = where(address)
    return address if address.startswith(_CLIENT) else str(ray.get_runtime_context().gcs_address)


def _secure_channel(place: str) -> Any:  # noqa: ANN401  # Ray has no types
    from ray._private.grpc_utils import init_grpc_channel

    return init_grpc_channel(place)


def _check_joinable(ray: Any, address: str) -> None:  # noqa: ANN401  # Ray has no types
    """Refuse in seconds a cluster that answers, but cannot be joined from this machine: Ray tries for a minute.

    Raises:
        InputError: If none of its nodes is this machine, or none of all clusters for `auto`.
    """
    if address.startswith(_CLIENT):
        return
    from ray._private import services

    try:
        own = services.canonicalize_bootstrap_address(address)
    except ConnectionError as error:  # of `auto`
        raise InputError(_unreachable(address, f"Ray says: {first_line(error)}")) from error
    if own != address:  # Ray takes loopback for the address of the machine, where there may be nothing
        _check_reachable(own)
    try:
        services.get_node_to_connect_for_driver(ray._raylet.GcsClient(address=own), timeout_seconds=REACH)
    except (RuntimeError, ray.exceptions.RayError) as error:
        why = "it has no node on this machine: start one with `ray start`, or give ray://HOST:PORT of its client server"
        raise InputError(_unreachable(address, why)) from error


@contextlib.contextmanager
def _terminated_as_before(ray: Any) -> Iterator[None]:  # noqa: ANN401  # Ray has no types
    """Without Ray's way to end at SIGTERM, where the program has one of its own."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        yield
        return
    utils = ray._private.utils
    before = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = before


def _unreachable(address: str, why: str) -> str:
    if address == OWN:
        return f"No cluster can be started here ({why}). Try again when the machine is less busy, or omit `runner`."
    return (
        f"The cluster at {address} cannot be reached ({why}). Check the address and that the cluster runs, with "
        "`ray status`; or omit `address` to start one on this machine."
    )

"""Who is writing what: an exclusive hold on one file or folder in the making, with an owner and a heartbeat."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock

from cxrfeat.errors import LockedError, StorageError
from cxrfeat.system.files import PROBE, clock_of, make_folder, remove, storing, sweep_temporaries, touch, write_atomic

BEAT = 1.0
"""Seconds between heartbeats of a lock's owner."""

SILENCE = 6.0
"""Seconds without a heartbeat after which an owner on another machine is taken for dead."""

RETRY = 0.02
"""Seconds between two looks at a lock that is waited for."""


class Lock:
    """Exclusive hold on the making of one file or folder, and the hidden folder beside it for what is unfinished.

    Use it as a context manager.
    """

    def __init__(self, path: Path, stem: str | None = None, *, wait: float = 0.0) -> None:
        """Name the places; nothing is touched yet.

        Args:
            path: What is to be made.
            stem: What the hidden names beside it are made of; by default its own name.
            wait: Seconds to wait for another owner, of something that is quickly made.
        """
        self.path = path
        self._wait = wait
        stem = stem or path.name
        self.folder = path.with_name(f".{stem}.work")
        self._lock = filelock.FileLock(path.with_name(f".{stem}.lock"), timeout=0)
        self._owner = path.with_name(f".{stem}.owner")

    def __enter__(self) -> Self:
        """Take the lock; the system drops it when this process ends, however it ends.

        Raises:
            LockedError: If another process holds it.
        """
        until = time.monotonic() + self._wait
        while True:
            try:
                return self._take()
            except LockedError:
                if time.monotonic() >= until:
                    raise
            time.sleep(RETRY)

    def _take(self) -> Self:
        make_folder(self.path.parent)
        with storing("lock", self.path):
            try:
                self._lock.acquire()
            except filelock.Timeout:  # an OSError too, so `storing` must not see it
                raise self._locked() from None
        try:
            if self._beats_elsewhere():
                raise self._locked()
            sweep_temporaries(self.path.parent, self.path.name, self._owner.name, PROBE)
            owner = {"pid": os.getpid(), "host": platform.node()}
            write_atomic(self._owner, json.dumps(owner).encode())
            self._heart = _Heart(self._owner)
        except BaseException:  # Ctrl-C too: nobody would let go of the lock
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the lock."""
        try:
            self._heart.stop()
            with contextlib.suppress(StorageError):  # it only serves the message to a second writer
                remove(self._owner)
        finally:  # Ctrl-C may come here too
            self._lock.release()

    def discard(self) -> None:
        """Delete what marks it, where it has no owner and never will have one again.

        Raises:
            StorageError: If the disk refuses.
        """
        remove(self._owner)
        remove(Path(self._lock.lock_file))

    def _beats_elsewhere(self) -> bool:
        """Whether a run on another machine is alive, though the system gave us the lock.

        Some network file systems lock within one machine only. Such an owner shows by its heartbeat: its file's time
        against that of a file written just now, so that only the file server's clock counts. A dead owner's lock is
        taken over once its last beat is `SILENCE` old.
        """
        try:
            host = json.loads(self._owner.read_bytes())["host"]
            beat = self._owner.stat().st_mtime
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if host == platform.node():
            return False  # on one machine the system's lock is to be believed
        return clock_of(self.path.parent) - beat < SILENCE

    def _locked(self) -> LockedError:
        return LockedError(
            f"{self.path} is being written by {self.holder}. Wait until that run ends, or stop it, "
            "then run the same command again; what it finished is kept."
        )

    @property
    def holder(self) -> str:
        """Who has it, in words."""
        try:
            owner = json.loads(self._owner.read_bytes())
            return f"process {owner['pid']} on {owner['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


class _Heart:
    """Touches the owner's file every second until it is stopped, or the process is gone."""

    def __init__(self, owner: Path) -> None:
        self._owner = owner
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT):
            with contextlib.suppress(OSError):  # a missed beat is no reason to stop computing
                touch(self._owner)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

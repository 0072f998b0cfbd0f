"""Loops over pixels, compiled by Numba to machine code that runs without the interpreter's lock.

Compiling them takes some seconds once for each user and version, and loading them half a second and 140 MB in every
process. So they are loaded where much is to be done (`want_compiled`), or was done without them, by a thread of their
own; and whatever has them does the same work, to the same bits, without them until they are there.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from cxrfeat.errors import StorageError
from cxrfeat.system.choice import chose
from cxrfeat.system.files import is_private, make_folder, remove_folder, user_cache

LEAST_STEPS = 3000
"""Views of 299 pixels, or what takes as long, that are worth loading compiled functions: they save three quarters of a
second of one core."""

_F = TypeVar("_F", bound=Callable[..., Any])

_wanted = threading.Event()
_ONE_BY_ONE = threading.Lock()
"""Held while functions are compiled: the folder that Numba keeps them in is one for all its threads."""


def want_compiled(steps: int) -> None:
    """Say how much work on images follows; if it is enough, compiled functions are loaded once they are asked for.

    Args:
        steps: Steps of this process, in about as many times what one view takes.
    """
    if steps >= LEAST_STEPS:
        _wanted.set()


class Compiled:
    """The compiled functions of a module.

    `functions` gives them once they are there, and loads them when it is worth it; `load` waits for them.
    """

    def __init__(self, module: str) -> None:
        """Note where they are.

        Args:
            module: Its functions are `compiled`; imported when it is worth it.
        """
        self._module, self._lock = module, threading.Lock()
        self._loading: threading.Thread | None = None
        self._functions: Any = None
        self._without = 0.0  # some of it is lost where threads add at once, which does not matter

    def functions(self, steps: float) -> Any | None:  # noqa: ANN401  # a module
        """The module, or `None` where it is not loaded, or not yet.

        Args:
            steps: What it would be used for now: views of 299 pixels that take as long without it.
        """
        if self._functions is None and self._loading is None:
            self._without += steps
            if _wanted.is_set() or self._without >= LEAST_STEPS:
                self._begin()
        return self._functions

    def load(self) -> Any:  # noqa: ANN401  # a module
        """The module, waited for; tried again where it could not be loaded before, since disks and folders change.

        Raises:
            RuntimeError: If Numba cannot compile it here.
        """
        self._begin().join()
        if self._functions is None:
            self._load()
        if self._functions is None:
            raise RuntimeError(f"{self._module} could not be compiled")
        return self._functions

    def _begin(self) -> threading.Thread:
        with self._lock:
            if self._loading is None:
                self._loading = threading.Thread(target=self._load, name="compile")
                self._loading.start()
            return self._loading

    def _load(self) -> None:
        try:
            with _ONE_BY_ONE:
                self._functions = importlib.import_module(self._module)
            chose(f"Loops of {self._module} are compiled, since there is much to do; they are kept in {_folder()}.")
        except Exception as error:  # noqa: BLE001  # Numba fails in many ways (NumPy too new, what it kept damaged)
            chose(f"{self._module} works without compiled functions: {error}.")
            with contextlib.suppress(StorageError, OSError):  # what is damaged is compiled again next time
                for folder in _folder().iterdir():
                    remove_folder(folder)


def compiled(signature: str, *, fills: int = 0) -> Callable[[_F], _F]:
    """Compile a function of a module of such functions, or load what was kept of it, when the module is imported.

    What is kept depends on the text of its own module alone, so it calls none of another one.

    Args:
        signature: Numba's names of the types, such as `void(uint8[:, ::1])`.
        fills: So many arguments, the last ones, are arrays that it fills; others may be read-only.
    """

    def compile_it(function: _F) -> _F:
        numba: Any = importlib.import_module("numba")
        if numba.config.DISABLE_JIT:
            raise ImportError("Numba is set not to compile, and plain Python is too slow for loops over pixels")

        given, result = numba.core.sigutils.normalize_signature(signature)
        read = [each.copy(readonly=True) if isinstance(each, numba.types.Array) else each for each in given]
        whole = result(*read[: len(given) - fills], *given[len(given) - fills :])

        def make(*, keep: bool) -> _F:
            made: _F = numba.njit(whole, nogil=True, cache=keep, error_model="numpy")(function)
            return made

        with _kept() as keeps:
            try:
                return make(keep=keeps)
            except OSError:  # such as a full disk
                return make(keep=False)

    return compile_it


def _folder() -> Path:
    return user_cache() / "kernels"


@contextlib.contextmanager
def _kept() -> Iterator[bool]:
    """Where Numba keeps what it compiles in the block, if it can be kept: loading it runs it."""
    config: Any = importlib.import_module("numba.core.config")
    folder = _folder()
    try:
        make_folder(folder, private=True)
        keeps = is_private(folder)
    except (StorageError, OSError):
        keeps = False
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        yield keeps
    finally:
        config.CACHE_DIR = before

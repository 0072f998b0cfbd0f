"""The bar that a notebook shows while long work runs, where whoever called gave no callback of their own."""

from __future__ import annotations

import functools
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from html import escape
from typing import Any, ParamSpec, TypeVar

from cxrfeat.pace import Pace

_P = ParamSpec("_P")
_R = TypeVar("_R")


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which can replace what it has shown."""
    ipython = sys.modules.get("IPython")  # a kernel has loaded it, and nobody else waits for it here
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def with_bar(unit: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function that takes `progress` show a bar in a notebook where it is given none.

    A bar is gone once the function has returned or raised, so that no notebook is saved with one.

    Args:
        unit: What is counted, for the rate.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def shown(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            if kwargs.get("progress") is not None or not in_notebook():
                return function(*args, **kwargs)
            bar = Bar(unit)
            kwargs["progress"] = bar
            try:
                return function(*args, **kwargs)
            finally:
                bar.close()

        return shown

    return decorate


class Bar:
    """A callback that draws how far the work is, at most a few times a second."""

    EVERY = 0.2
    """Seconds between two drawings."""

    def __init__(self, unit: str, now: Callable[[], float] = time.monotonic) -> None:
        """What is counted, and by which clock."""
        self._now = now
        self._paces: defaultdict[str, Pace] = defaultdict(lambda: Pace(unit, now))
        self._drawn: tuple[float, str] | None = None
        self._handle: Any = None  # IPython's own

    def __call__(self, *step: Any) -> None:  # noqa: ANN401  # of `Progress`, or of `Counted`, which has no name
        """Take what is being done, if it has a name, how much of it is done, and how much there is."""
        *names, done, total = step
        name = str(names[0]) if names else ""
        pace = self._paces[name]
        pace.tell(done, total)
        if self._drawn and self._drawn[1] == name and self._now() - self._drawn[0] < self.EVERY and done < total:
            return
        self._drawn = self._now(), name
        self._show(name, done, total, pace.words)

    def close(self) -> None:
        """Take the bar away."""
        if self._handle is not None:
            self._handle.update({"text/html": "", "text/plain": ""}, raw=True)

    def _show(self, name: str, done: int, total: int, words: str) -> None:
        counted = "" if total == 1 else f"{done} of {total}"  # one step, such as loading a network, is no count
        text = ", ".join(part for part in (counted, words) if part)
        text = ": ".join(part for part in (name, text) if part)
        reached = f' value="{done}" max="{total}"' if counted else ""
        shown = {
            "text/html": f'<progress aria-label="{escape(name or "progress")}"{reached}></progress> {escape(text)}',
            "text/plain": text,
        }
        if self._handle is None:
            from IPython.display import display

            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)

"""What was looked at on this machine, as a value: what was found, whether that will do, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass

from cxrfeat.types import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    check: str
    status: Status
    value: str
    """What was found."""
    do: str = ""
    """The remedy; empty where there is nothing to do."""


def size_text(count: int) -> str:
    """Bytes as one says them.

    Example:
        >>> size_text(33_000_000), size_text(5 * 10**9), size_text(0)
        ('33 MB', '5.0 GB', '0 kB')
    """
    for unit, name, digits in ((10**9, "GB", 1), (10**6, "MB", 0)):
        if count >= unit:
            return f"{count / unit:.{digits}f} {name}"
    return f"{count / 1000:.0f} kB"

"""What this package asks of others, and which of that is installed; found out without loading any of them."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass

PACKAGE = "cxrfeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Another package, as this one asks for it."""

    name: str
    wanted: str
    """The versions that will do, such as `>=3.12`; empty where any does."""
    found: str | None
    """The version that is installed; `None` where it is not."""
    enough: bool
    """Whether it is installed in such a version."""
    extra: str | None
    """The extra that it is of; `None` where nothing works without it."""

    def __str__(self) -> str:
        """Its name, with the version there is."""
        return f"{self.name} {self.found or 'is missing'}"


def requirements() -> list[Requirement]:
    """All that this package asks for on this machine, in the order in which it says so; none where it does not say.

    Example:
        >>> {"numpy", "h5py"} <= {one.name for one in requirements() if one.extra is None}
        True
    """
    from packaging.requirements import Requirement as Asked

    found = []
    extras = [None, *extras_of()]
    for asked in map(Asked, _lines()):
        for extra in extras if asked.marker is not None else [None]:
            if asked.marker is not None and not asked.marker.evaluate({"extra": extra or ""}):
                continue
            version = version_of(asked.name)
            enough = version is not None and asked.specifier.contains(version, prereleases=True)
            found.append(
                Requirement(name=asked.name, wanted=str(asked.specifier), found=version, enough=enough, extra=extra)
            )
            break  # what is always asked for is of no extra
    return found


def extras_of() -> list[str]:
    """Names of the extras, in their order."""
    try:
        return importlib.metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def python_wanted() -> tuple[str, bool]:
    """The versions of Python that will do, and whether this is one of them."""
    from packaging.specifiers import SpecifierSet

    try:
        wanted = importlib.metadata.metadata(PACKAGE)["Requires-Python"] or ""
    except importlib.metadata.PackageNotFoundError:
        wanted = ""
    return wanted, SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)


def version_of(name: str) -> str | None:
    """The version of a package that is installed; `None` where it is not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _lines() -> list[str]:
    try:
        return importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []

"""One version, wherever it is asked for."""

from __future__ import annotations

import importlib.metadata

import cxrfeat
from cxrfeat.version import __version__


def test_the_package_and_what_was_installed_have_one_version() -> None:
    assert cxrfeat.__version__ == __version__ == importlib.metadata.version("cxrfeat")

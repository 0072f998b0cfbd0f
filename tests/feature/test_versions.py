from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

import numpy as np
import PIL
import pytest

from cxrfeat.feature.versions import _installed, versions


def test_what_decides_the_numbers_is_named_with_its_version() -> None:
    found = versions()
    assert found["numpy"] == np.__version__
    assert found["pillow"] == PIL.__version__
    assert found["cxrfeat"] == importlib.metadata.version("cxrfeat")


@pytest.fixture
def _asked_anew() -> Iterator[None]:
    _installed.cache_clear()
    yield
    _installed.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_numpy(name: str) -> str:
        if name != "numpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.0"

    monkeypatch.setattr(importlib.metadata, "version", only_numpy)
    found = versions()
    assert found["numpy"] == "2.0"
    assert "keras" not in found

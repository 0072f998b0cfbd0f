from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from cxrfeat.system.requirement import extras_of, python_wanted, requirements, version_of

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_what_the_package_asks_for_is_told_with_its_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=2", "h5py>=999", "nowhere", 'onnx; extra == "more"', 'other; sys_platform == "none"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    monkeypatch.setattr("cxrfeat.system.requirement.extras_of", lambda: ["more"])
    found = {one.name: one for one in requirements()}
    assert found.keys() == {"numpy", "h5py", "nowhere", "onnx"}
    assert found["numpy"].enough
    assert not found["h5py"].enough
    assert found["h5py"].wanted == ">=999"
    assert str(found["nowhere"]) == "nowhere is missing"
    assert (found["onnx"].extra, found["numpy"].extra) == ("more", None)


def test_the_extras_are_those_of_the_project() -> None:
    if not extras_of():
        pytest.skip("the package is not installed")
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert {"onnx", "openvino", "tables"} <= set(extras_of())
    assert python_wanted() == (project["requires-python"], True)


def test_a_package_that_is_not_installed_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    for one in ("requires", "metadata", "version"):
        monkeypatch.setattr(importlib.metadata, one, missing)
    assert requirements() == []
    assert extras_of() == []
    assert python_wanted() == ("", True)
    assert version_of("numpy") is None

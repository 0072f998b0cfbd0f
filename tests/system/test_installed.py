from __future__ import annotations

import pytest

from cxrfeat.system import installed
from cxrfeat.system.requirement import Requirement
from cxrfeat.types import Status


def asked(name: str, found: str | None, *, enough: bool = True, extra: str | None = None) -> Requirement:
    return Requirement(name=name, wanted=">=2", found=found, enough=enough and found is not None, extra=extra)


def test_what_is_missing_or_old_is_named_with_what_to_install() -> None:
    whole = installed.packages_check([asked("numpy", "2.1")])
    assert (whole.status, whole.value, whole.do) == (Status.PASS, "numpy 2.1", "")
    wrong = installed.packages_check([asked("numpy", "1.9", enough=False), asked("h5py", None)])
    assert wrong.status == Status.FAIL
    assert wrong.value == "numpy 1.9, and numpy>=2 is needed, h5py is missing, and h5py>=2 is needed"
    assert wrong.do == "Run pip install 'numpy>=2' 'h5py>=2'."


def test_without_keras_networks_still_run_and_that_is_a_warning() -> None:
    found = installed.packages_check([asked("numpy", "2.1"), asked("tensorflow", None)])
    assert found.status == Status.WARN
    assert "explain and finetune do not work" in found.value
    assert installed.packages_check([]).status == Status.WARN, "it is not installed"


def test_an_extra_is_there_or_not_or_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "extras_of", lambda: ["onnx", "tables", "umap", "fast", "dev"])
    parts = [
        asked("onnx", "2.0", extra="onnx"),
        asked("pyarrow", None, extra="tables"),
        asked("openpyxl", "3", extra="tables"),
        asked("umap-learn", None, extra="umap"),
    ]
    found = {one.check: one for one in installed.extra_checks(parts)}
    assert [(name, str(one.status)) for name, one in found.items()] == [
        ("extra onnx", "pass"),
        ("extra tables", "warn"),
        ("extra umap", "pass"),
        ("extra fast", "pass"),
    ]
    assert found["extra tables"].do == "For tables as Parquet and .xlsx: pip install 'cxrfeat[tables]'."
    assert found["extra umap"].value == "not installed"
    assert found["extra fast"].value == "not for this kind of machine"


def test_another_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed.python_check().status == Status.PASS
    monkeypatch.setattr(installed, "python_wanted", lambda: (">=4", False))
    found = installed.python_check()
    assert (found.status, found.do) == (Status.FAIL, "Install cxrfeat with Python >=4.")

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.backbone import choose, readiness
from cxrfeat.backbone.readiness import engine_checks, extract_check, gpu_check, weights_check
from cxrfeat.backbone.table import TABLE, Row
from cxrfeat.backbone.weights import keras_folder
from cxrfeat.types import Status


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if these packages were here, and no GPU."""
    there = {*names, "jax"} if "keras" in names else set(names)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr(readiness, "has_driver", lambda: False)


def test_each_engine_says_what_it_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    installed(monkeypatch, "keras", "onnx", "openvino")
    found = {one.check: one for one in engine_checks()}
    assert "on jax" in found["engine keras"].value
    assert found["engine openvino"].value == "the networks of the table without Keras, and ONNX files"
    assert found["engine onnx"].status == Status.WARN
    assert found["engine onnx"].do == "Run pip install 'cxrfeat[onnx]'."


@pytest.mark.parametrize(
    ("there", "backbone", "status", "said"),
    [
        (("onnx", "openvino"), "densenet121", Status.PASS, "densenet121 would be run by the engine openvino"),
        (("keras",), "densenet121", Status.WARN, "by the engine keras"),
        ((), "densenet121", Status.FAIL, "nothing is installed that runs densenet121"),
        (("onnx", "openvino"), "own.keras", Status.FAIL, "nothing is installed that runs own.keras"),
        (("onnx", "openvino"), "own.onnx", Status.PASS, "by the engine openvino"),
        (("keras",), "own.onnx", Status.FAIL, "nothing is installed that runs own.onnx"),
    ],
)
def test_what_would_run_the_job(
    there: tuple[str, ...], backbone: str, status: Status, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    installed(monkeypatch, *there)
    found = extract_check(backbone)
    assert found.status == status
    assert said in found.value
    assert bool(found.do) == (status != Status.PASS)


def test_with_a_driver_keras_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    installed(monkeypatch, "keras", "onnx", "openvino")
    monkeypatch.setattr(readiness, "has_driver", lambda: True)
    assert "keras if jax sees the GPU, else by openvino" in extract_check("densenet121").value
    monkeypatch.setattr(readiness, "version_of", lambda name: None)
    assert "jax cannot compute" in gpu_check().value
    monkeypatch.setattr(readiness, "version_of", lambda name: "1.0")
    assert gpu_check().status == Status.PASS


def test_the_engine_that_is_expected_is_the_one_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "has_gpu", lambda: False)
    from cxrfeat.backbone.network import find_network
    from cxrfeat.spec import ViewSpec

    network = find_network("resnet50", weights="random")
    expected = choose.without_gpu("resnet50")
    assert expected == choose.choose_engine("auto", network, network.described(ViewSpec(size=224)), 1000)


def test_weights_are_here_or_to_be_had_or_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(readiness, "why_unreachable", lambda url, patience: "no route")
    missing = weights_check("densenet121", "imagenet")
    assert missing.status == Status.FAIL
    assert "(no route)" in missing.value
    assert TABLE["densenet121"].weights_url in missing.do
    monkeypatch.setattr(readiness, "why_unreachable", lambda url, patience: "")
    assert weights_check("densenet121", "imagenet").status == Status.PASS
    keras_folder().mkdir()
    (keras_folder() / TABLE["densenet121"].weights_file).write_bytes(b"half")
    damaged = weights_check("densenet121", "imagenet")
    assert (damaged.status, damaged.do) == (Status.FAIL, "Delete it; it is then downloaded again.")
    assert "also here: densenet121" in weights_check("vgg16", "imagenet").value

    def whole(row: Row) -> str:
        return "ready"

    monkeypatch.setattr(readiness, "state_of", whole)
    assert "here and whole" in weights_check("densenet121", "imagenet").value


def test_networks_and_weights_of_the_users_own(tmp_path: Path) -> None:
    assert "scores mean nothing" in weights_check("densenet121", "random").value
    assert weights_check("densenet121", str(tmp_path / "no.h5")).status == Status.FAIL
    missing = weights_check(str(tmp_path / "no.keras"), "imagenet")
    assert (missing.status, missing.do) == (Status.FAIL, "Check the path.")
    (tmp_path / "bad.keras").write_bytes(b"rubbish")
    assert "is not a Keras model" in weights_check(str(tmp_path / "bad.keras"), "imagenet").value
    (tmp_path / "w.h5").touch()
    assert weights_check("densenet121", str(tmp_path / "w.h5")).status == Status.PASS

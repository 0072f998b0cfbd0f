from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cxrfeat.backbone.quiet import backend


def test_keras_loads_without_a_word_and_only_when_asked() -> None:
    code = (
        "import sys; import cxrfeat.backbone.engine, cxrfeat.workflow.extract; assert 'keras' not in sys.modules; "
        "from cxrfeat.backbone.quiet import import_keras; keras = import_keras(); "
        "assert keras is import_keras() is sys.modules['keras']; keras.ops.ones(3); print('data', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "data\n")


def test_the_backend_is_the_one_that_keras_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras_home = tmp_path / "keras"
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    assert backend() == "tensorflow"
    keras_home.mkdir()
    for text, name in (
        (b'{"backend": "jax"}', "jax"),
        (b"{", "tensorflow"),
        (b"[]", "tensorflow"),
        (b"{}", "tensorflow"),
    ):
        (keras_home / "keras.json").write_bytes(text)
        assert backend() == name
    monkeypatch.setenv("KERAS_BACKEND", "openvino")
    assert backend() == "openvino"

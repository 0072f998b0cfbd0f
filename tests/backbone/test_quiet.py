from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxrfeat.backbone.quiet import backend, xla_switches


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ("", "true"),
        ("--xla_gpu_autotune_level=0", "true"),
        ("--xla_gpu_deterministic_ops=false", "false"),
        ("--xla_gpu_deterministic_ops", "true"),
    ],
)
def test_the_switch_of_xla_is_that_of_the_user_or_on(monkeypatch: pytest.MonkeyPatch, flags: str, wanted: str) -> None:
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert xla_switches() == {}
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    assert xla_switches() == {"xla_gpu_deterministic_ops": wanted}


def test_where_jax_has_begun_without_the_switch_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setitem(sys.modules, "jax", sys)
    assert xla_switches() == {"xla_gpu_deterministic_ops": "false"}


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed; it is no dependency")
@pytest.mark.parametrize("flags", ["", "--xla_gpu_deterministic_ops=false"])
def test_jax_begins_with_the_switch_and_keeps_nothing_compiled_for_a_cpu(tmp_path: Path, flags: str) -> None:
    code = (
        "import os, sys; from cxrfeat.backbone.quiet import import_keras, keep_compiled, xla_switches; "
        "before = xla_switches(); keras = import_keras(); keras.ops.ones(3); keep_compiled(); import jax; "
        "assert xla_switches() == before; assert 'tensorflow' not in sys.modules; "
        "assert jax.config.jax_compilation_cache_dir is None; print(os.environ['XLA_FLAGS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": flags, "CXRFEAT_CACHE": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == (flags or "--xla_gpu_deterministic_ops=true")

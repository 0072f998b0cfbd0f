"""The only place that imports Keras: late, and without TensorFlow's start-up chatter.

What can be said of it without importing it (its folder, its backend) is said here too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import random
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxrfeat.spec import StoredPrecision
from cxrfeat.system.files import user_cache

DETERMINISTIC = "xla_gpu_deterministic_ops"
"""XLA's switch for the same bits in every process on a GPU; what was measured lost no speed by it (H100)."""


def import_keras() -> Any:  # noqa: ANN401  # Keras has no types
    """Keras on its backend; the first call takes seconds."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if backend() == "jax" and DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
        # Else it chooses among algorithms by timing them, and two processes on one GPU differ in their last bits.
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --{DETERMINISTIC}=true".strip()
    drawn = random.getstate()
    with _muted(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between TensorFlow, NumPy and protobuf
        import keras
    random.setstate(drawn)  # loading TensorFlow draws from Python's own generator, which is the user's
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of "retracing" where several networks run
    return keras


def keras_home() -> Path:
    """Keras's own folder: `$KERAS_HOME`, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def backend() -> str:
    """The Keras backend that will run: `$KERAS_BACKEND`, else Keras's own configuration, else `tensorflow`."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return str(json.loads((keras_home() / "keras.json").read_text()).get("backend") or "tensorflow")
    return "tensorflow"


def has_driver() -> bool:
    """Whether the system has a driver of a GPU that Keras may run on."""
    return any(Path(sign).exists() for sign in ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/kfd"))


def has_gpu() -> bool:
    """Whether Keras would run on a GPU; asked of Keras, which takes seconds to load, only where a driver is there."""
    return has_driver() and bool(import_keras().distribution.list_devices("gpu"))


def keras_installed() -> bool:
    """Whether Keras and the backend that it would run on are there; neither is loaded."""
    return all(importlib.util.find_spec(name) is not None for name in ("keras", backend()))


def xla_switches() -> dict[str, str]:
    """The switch that the bits of features depend on where JAX computes on a GPU, as it is or will be; else nothing.

    It is read when JAX begins, so what the user has set stands.
    """
    if backend() != "jax":
        return {}
    found = re.search(rf"--{DETERMINISTIC}(?:=(\S+))?", os.environ.get("XLA_FLAGS", ""))
    return {DETERMINISTIC: (found[1] or "true") if found else "false" if "jax" in sys.modules else "true"}


def keep_compiled() -> None:
    """Have JAX keep what it compiles for a GPU in the user cache: a network takes 2 to 20 s each time else.

    Programs for a CPU would be of the very CPU that compiled them, and a home folder may be shared.
    """
    import jax

    if has_gpu() and jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(user_cache() / "xla"))


@contextlib.contextmanager
def arithmetic(precision: StoredPrecision) -> Iterator[None]:
    """Have Keras multiply float32 numbers in full, also on GPUs that would round them to 10 bits first (TF32).

    Features would lie a thousandth apart from those of a CPU, under the same fingerprint. Where they are described as
    `tf32`, they are rounded.
    """
    backend = import_keras().backend.backend()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("tensorfloat32" if precision == "tf32" else "highest"):
            yield
    elif backend == "tensorflow":
        import tensorflow

        config = tensorflow.config.experimental
        before = config.tensor_float_32_execution_enabled()
        config.enable_tensor_float_32_execution(enabled=precision == "tf32")
        try:
            yield
        finally:
            config.enable_tensor_float_32_execution(before)
    else:
        yield


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Close the process's stderr for a while: TensorFlow's libraries write to it before they read any setting."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)

"""What all tests share: none touches the user's own folders, and small things are made once."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import os
import signal
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.system import compiled
from tests.documents import described
from tests.effort import THOROUGH
from tests.stub import StubFactory

# A shell that runs the tests in its background has them ignore Ctrl-C, and every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything imports TensorFlow, which reads it once. Two is enough for what the tests compute.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# No test is about time: another program that takes the processor makes none fail. Where slow tests are asked for, a
# property is tried as often as Hypothesis does it of itself.
settings.register_profile("untimed", deadline=None, max_examples=12)
settings.register_profile(THOROUGH, deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["tests.collecting", "tests.auditing.shortcuts", "tests.explaining.chests"]

SHARED = Path(__file__).resolve().parents[2] / "shared"
_NUMBER = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Where slow tests are asked for, properties whose examples are expensive are tried as often as the others."""
    if config.getoption("markexpr") != "not slow":
        settings.load_profile(THOROUGH)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Tests and modules live as long as the session: none of them is searched for garbage again and again."""
    gc.disable()
    collected = yield
    gc.enable()
    gc.freeze()
    return collected


@pytest.fixture(scope="session", autouse=True)
def _keras_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home for Keras, and for whatever session fixtures keep; Keras reads it when it is first imported."""
    home = tmp_path_factory.mktemp("user")
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    kernels = (
        tmp_path_factory.getbasetemp().parent if parallel else home
    ) / "kernels"  # compiled once for all processes
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(home / "keras"))
        patch.setenv("CXRFEAT_CACHE", str(home / "cache"))
        patch.setenv("CXRFEAT_CONFIG", str(home / "config"))
        patch.delenv("CXRFEAT_DATA", raising=False)
        if importlib.util.find_spec("tensorflow"):  # else the tests run on the backend that there is
            patch.delenv("KERAS_BACKEND", raising=False)
        patch.setattr(compiled, "_folder", lambda: kernels)
        yield home


@pytest.fixture(scope="session", autouse=True)
def _no_loss_of_power() -> Iterator[None]:
    """Nothing waits for the disk: no test cuts the power, which alone would show it. That it is called is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _documents(_keras_home: Path) -> Iterator[None]:
    """What commands print with `--json` is what `docs/schema/` says, whichever test asks for it."""
    with described():
        yield


@pytest.fixture(autouse=True)
def _user_folders(_keras_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache and a configuration folder of its own for each test; made when something is put there."""
    base = tmp_path_factory.getbasetemp() / "users" / str(next(_NUMBER))
    monkeypatch.setenv("CXRFEAT_CACHE", str(base / "cache"))
    monkeypatch.setenv("CXRFEAT_CONFIG", str(base / "config"))


@pytest.fixture
def same_user(_keras_home: Path, _user_folders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of session and module fixtures: what they made knows its network and the salt of its ids by these."""
    monkeypatch.setenv("CXRFEAT_CACHE", str(_keras_home / "cache"))
    monkeypatch.setenv("CXRFEAT_CONFIG", str(_keras_home / "config"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and weights that lies beside the checkout; tests of it are skipped elsewhere."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here: it holds real images and weights, which the repository does not")
    return SHARED


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Keras model: 32 x 32 RGB to `(4, 4, 8)` maps, random weights, three layers with weights."""
    from cxrfeat.backbone.quiet import import_keras

    keras = import_keras()
    layers, draw = keras.layers, np.random.default_rng(7)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(8, 3, strides=2, padding="same"),
        ]
    )
    path = tmp_path_factory.mktemp("network") / "tiny.keras"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15.1 on saving
        model.set_weights([draw.normal(0, 0.3, weight.shape).astype(np.float32) for weight in model.weights])
        model.save(path)
    return path


@pytest.fixture
def stub() -> StubFactory:
    """Makes engines that need no Keras, and counts what they compute."""
    return StubFactory()


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom set of two classes and two sources, one copy in it; copy it before changing anything."""
    folder = tmp_path_factory.mktemp("phantoms") / "phantoms"
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=5, size=64, duplicates=1))
    return folder

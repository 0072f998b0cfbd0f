"""What tests of fine-tuning share: phantoms, their features, and a run, made once and copied."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import Run, read_run
from tests.workflow.place import LAST, Place


@dataclass(frozen=True)
class Begun:
    """What was made once."""

    place: Place
    """With features and runs."""
    run: str
    """The one that trained the network on, for two epochs."""


@pytest.fixture(scope="session")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some fifty phantoms of two classes."""
    folder = tmp_path_factory.mktemp("data") / "set"
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=14, size=64))
    return folder


@pytest.fixture(scope="session")
def begun(fifty: Path, tiny_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Begun:
    place = Place(tmp_path_factory.mktemp("begun"), fifty, tiny_network)
    place.extract()
    return Begun(place, place.finetune(spec=LAST).runs[0].name)


@pytest.fixture
def bare(tmp_path: Path, fifty: Path, tiny_network: Path) -> Place:
    """Without features."""
    return Place(tmp_path, fifty, tiny_network)


@pytest.fixture
def place(begun: Begun, bare: Place, same_user: None) -> Place:
    """With the features of the network that is there."""
    shutil.copytree(begun.place.features, bare.features)
    return bare


@pytest.fixture
def tuned(begun: Begun, place: Place) -> Run:
    """A run in it that trained the network on for two epochs, beside the one that it began with."""
    shutil.copytree(begun.place.runs, place.runs)
    return read_run(place.runs / begun.run)

"""A small phantom set and a run on it, made once: what tests of explaining look at, and never change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxrfeat.explaining.explained import Explained
from cxrfeat.explaining.graph import Graph
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadKind, HeadSpec, ViewSpec
from cxrfeat.workflow.explain import explain
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import change_file


@pytest.fixture(scope="session")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests") / "chests"
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=25, size=64, duplicates=2))
    return folder


@pytest.fixture(scope="session")
def chest_run(chests: Path, tiny_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With its network in its folder, as a fine-tuned run has it: each test has an empty cache."""
    run = runs_of(chests, tiny_network, tmp_path_factory.mktemp("run"), "logreg")[0]
    return change_file(run, "network.keras", tiny_network.read_bytes())


@pytest.fixture(scope="session")
def explained_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures of `explained` are."""
    return tmp_path_factory.mktemp("explained") / "out"


@pytest.fixture(scope="session")
def explained(chest_run: Run, chests: Path, explained_out: Path) -> Explained:
    return explain(chest_run, data=chests, count=5, out=explained_out)


def runs_of(
    data: Path, network: Path, folder: Path, *kinds: HeadKind, view: ViewSpec | None = None, **options: Any
) -> list[Run]:
    made = extract(
        data, backbone=str(network), preprocess="tf", views=2, view=view, features=folder / "features", engine="keras"
    )
    heads = [HeadSpec(kind=kind) for kind in kinds]
    return list(fit(made.files[0].path, heads, runs=folder / "runs", **options).runs)


def image_of(data: Path) -> Path:
    return sorted(data.glob("COVID/images/*"))[0]


def graph_with(chest_run: Run, network: Path) -> Graph:
    return Graph(network_of(chest_run, network), chest_run.document.features.spec)


def layers(run: Run) -> list[str]:
    return graph_with(run, run.path / "network.keras").layers

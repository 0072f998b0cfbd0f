"""Phantom sets with planted shortcuts, and a network that sees them: what tests of the whole audit look at."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing.result import AuditResult
from cxrfeat.backbone.network import Network
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Status, Views
from cxrfeat.workflow.audit import audit
from cxrfeat.workflow.extract import extract


class Grid:
    """A network that sees how bright each cell of a grid is, and whether something stands out: lesions, letters."""

    name, cells = "grid", 6
    dim = 2 * cells**2

    def __init__(self, network: Network, spec: FeatureSpec, batch: int = 16, threads: int = 1) -> None:
        self.batch = batch

    def run(self, views: Views) -> Features:
        side = views.shape[1] // self.cells
        inside = views[:, : self.cells * side, : self.cells * side].astype(np.float32)
        grid = inside.reshape(len(views), self.cells, side, self.cells, side)
        mean, most = (found.reshape(len(views), -1) for found in (grid.mean(axis=(2, 4)), grid.max(axis=(2, 4))))
        return np.concatenate([mean, most - mean], axis=1)


def phantoms(folder: Path, **fields: Any) -> Path:
    spec = PhantomSpec(**{"patients_per_class": 40, "images_per_patient": 2, "size": 128, **fields})
    write_phantoms(folder, spec)
    return folder


def cached(data: Path, folder: Path) -> Path:
    made = extract(
        data, backbone="vgg16", weights="random", views=1, size=128, features=folder / "features", make_engine=Grid
    )
    return made.files[0].path


def statuses(result: AuditResult) -> dict[str, Status]:
    return {finding.check: finding.status for finding in result.findings}


def small(folder: Path, **fields: Any) -> Path:
    few: dict[str, Any] = {"patients_per_class": 10, "images_per_patient": 1, "size": 64, "letters": "none"}
    return phantoms(folder, **(few | fields))


def rewrite(data: Path, change: Callable[[int, dict[str, str]], dict[str, str] | None]) -> None:
    """Change the rows of the table, by number; `None` takes one away, and its image."""
    table = data / "metadata.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = []
    for number, row in enumerate(rows):
        image = row["image"]
        changed = change(number, row)
        if changed is None:
            (data / image).unlink()
        else:
            kept.append(changed)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)


def patient(row: dict[str, str]) -> int:
    return int(row["image"].rsplit("-", 2)[1][1:])


@pytest.fixture(scope="session")
def tied_audit(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """The border letter on exactly the images of one class."""
    folder = tmp_path_factory.mktemp("tied")
    data = phantoms(folder / "data", letters="class")
    return audit(data, cache=cached(data, folder), mitigate=True, make_engine=Grid)


@pytest.fixture(scope="session")
def free_audit(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """The border letter on half of the images, whatever the class."""
    folder = tmp_path_factory.mktemp("free")
    data = phantoms(folder / "data", letters="random")
    return audit(data, cache=cached(data, folder), make_engine=Grid)

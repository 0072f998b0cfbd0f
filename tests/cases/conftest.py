"""Small data sets of phantoms, built as people have them on disk: what outside use found wrong stays right."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import PhantomSpec
from tests.cli.conftest import RANDOM, Cli, cli

__all__ = ["RANDOM", "Cli", "cli", "extracted", "take", "write_table"]

CLASSES = ("COVID", "NORMAL")
_SPEC = PhantomSpec(classes=CLASSES, patients_per_class=100, size=64)


@cache
def picture(label: str, patient: int) -> bytes:
    """A PNG of a phantom, 64 x 64; every patient has one of its own."""
    content = BytesIO()
    drawn = draw_phantom(_SPEC, CLASSES.index(label), patient, 0).image
    Image.fromarray(drawn).resize((64, 64)).save(content, "PNG")
    return content.getvalue()


def take(folder: Path, label: str, count: int, first: int = 0) -> list[Path]:
    """Write so many images of a class into a folder, each of another patient."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{label}-{number + 1}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, start=first):
        path.write_bytes(picture(label, number))
    return paths


def write_table(folder: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """`metadata.csv` of a folder."""
    rows = list(rows)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def extracted(cli: Cli, folder: Path, *options: str) -> Path:
    """The feature file of a folder, by a network that needs no time."""
    said = cli("extract", folder, *RANDOM, "--json", *options)
    assert said.code == 0, said.err
    return Path(said.json["files"][0]["path"])


@pytest.fixture
def d(cli: Cli, tmp_path: Path) -> Path:
    """`d/` in the current folder, empty."""
    (tmp_path / "d").mkdir()
    return Path("d")

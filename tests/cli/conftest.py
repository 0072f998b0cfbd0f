"""Commands called in process, in a folder of their own, with a network that needs no Keras."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.backbone.network import Network
from cxrfeat.cli.main import run
from cxrfeat.spec import FeatureSpec
from cxrfeat.workflow import audit, demo, extract, predict, similar, validate, verify
from tests.stub import StubEngine

RANDOM = ("--backbone", "resnet50", "--weights", "random", "--size", "32", "--views", "2")
"""Options of a quick extraction."""


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


Cli = Callable[..., Said]


class RoomyStub(StubEngine):
    """Takes as many rows as it is given, as every engine must outside extraction."""

    def __init__(self, network: Network, spec: FeatureSpec, batch: int = 16, threads: int = 1) -> None:
        super().__init__(network, spec, max(batch, 1024), threads)


def use_engine(monkeypatch: pytest.MonkeyPatch, make_engine: Callable[..., object] | None) -> None:
    """Let every command load its networks with `make_engine`, by the same code path; `None` is the usual way."""
    for recipe in (
        audit.audit, extract.extract, predict.predict, predict.stream_predictions, similar.similar, validate.validate,
        verify.verify, demo.demo,
    ):  # fmt: skip
        defaults = inspect.unwrap(recipe).__kwdefaults__ or {}
        assert "make_engine" in defaults
        monkeypatch.setitem(defaults, "make_engine", make_engine)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Calls a command in `tmp_path`; whatever happens, nobody sees a traceback or a colour off a terminal."""
    use_engine(monkeypatch, RoomyStub)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = run([str(one) for one in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert "unexpected error" not in err
        assert "\x1b" not in out + err
        return Said(code, out, err)

    return call


@pytest.fixture
def data(phantoms: Path, tmp_path: Path) -> Path:
    """`data/` in the current folder: a copy of the phantoms, to be spoilt at will."""
    return Path(shutil.copytree(phantoms, tmp_path / "data"))


@pytest.fixture
def features(cli: Cli, data: Path) -> Path:
    """The feature file of `data/`."""
    said = cli("extract", *RANDOM, "--json")
    assert said.code == 0, said.err
    return Path(said.json["files"][0]["path"])

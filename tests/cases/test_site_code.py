"""Code on the site's pages: its commands and names exist, and what a page shows runs from top to bottom on phantoms."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cxrfeat
from cxrfeat.cli.main import run
from tests.cli.conftest import RoomyStub, use_engine
from tests.test_docs import options

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
SHOWN = ("text", "sh")
"""Languages of what is shown and not run: output, and scripts of a cluster."""
OTHERWISE = ("recipes.md", "sets.md")
"""Pages whose code has tests of its own."""
WITH_CODE = [name for name, text in PAGES.items() if name not in OTHERWISE and BLOCK.search(text)]
RUNNING = [
    name
    for name in WITH_CODE
    if any(not mark and language not in SHOWN for mark, language, _ in BLOCK.findall(PAGES[name]))
]


def lines(code: str) -> Iterator[str]:
    """The commands of a block."""
    for line in code.splitlines():
        if line.startswith("cxrfeat "):
            yield line


@pytest.mark.parametrize("name", WITH_CODE)
def test_commands_and_names_on_a_page_exist(name: str) -> None:
    known = options()
    for _, language, code in BLOCK.findall(PAGES[name]):
        assert language in ("console", "python", *SHOWN), f"{name}: no test knows ```{language}"
        for line in lines(code) if language == "console" else ():
            words = shlex.split(line, comments=True)[1:]
            command = next(one for one in (" ".join(words[:2]), words[0]) if one in known)
            assert {word for word in words if word.startswith("--")} <= known[command], line
        if language == "python":
            compile(code, name, "exec")
            assert {one.split("(")[0] for one in re.findall(r"cxrfeat\.([A-Za-z]\w*)", code)} <= set(cxrfeat.__all__)


@pytest.mark.parametrize("name", [name for name in PAGES if name not in OTHERWISE])
def test_options_that_a_page_names_exist(name: str) -> None:
    every = set().union(*options().values())
    text = BLOCK.sub("", PAGES[name])
    named = set(re.findall(r"`(?:cxrfeat [a-z-]+ )?(--[a-z][a-z-]*[a-z])", text)) - {"--no-index"}
    assert named <= every, named - every


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNING)
def test_what_a_page_shows_runs(
    name: str, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(phantoms, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    use_engine(monkeypatch, RoomyStub)
    monkeypatch.setattr("cxrfeat.backbone.network.SCRATCH_SIZE", 64)
    space: dict[str, Any] = {"__name__": "page"}
    for unrun, language, code in BLOCK.findall(PAGES[name]):
        if unrun or language in SHOWN:
            continue
        if language == "python":
            exec(compile(code, name, "exec"), space)
        for line in lines(code):
            assert run(shlex.split(line, comments=True)[1:]) == 0, f"{line}: {capsys.readouterr().err}"

"""The documents are part of the product: every command is in them, and what they show runs."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

import cxrfeat
from cxrfeat.cli.main import app, run
from cxrfeat.cli.words import as_typed
from tests.cli.conftest import RoomyStub, use_engine
from tests.sources import sources

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").is_file() else ""
UNTRACKED = {"build", "dist", "runs", "data", "demo", "__pycache__"}
LISTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("anaconda", "org"))]


def commands() -> Iterator[tuple[str, str]]:
    """Each command as it is typed, with its help."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while pending:
        names, command = pending.pop(0)
        inner = getattr(command, "commands", None)
        if inner:
            pending += [((*names, name), one) for name, one in inner.items()]
        else:
            yield " ".join(names), command.help or ""


COMMANDS = dict(commands())


@cache
def options() -> dict[str, set[str]]:
    """The options of each command."""
    found: dict[str, set[str]] = {}
    pending: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while pending:
        names, command = pending.pop(0)
        pending += [((*names, name), one) for name, one in (getattr(command, "commands", None) or {}).items()]
        spelled = [text for one in command.params for text in (*one.opts, *one.secondary_opts)]
        found[" ".join(names)] = {*spelled, "--help"}
    return found


def said_by_the_package() -> Iterator[tuple[str, str]]:
    """Every text in the code as the command line says it, with where it stands; of one with values, 0 for each."""
    for source in sources():
        for text in source.whole if source.path.parent.name != "cli" else ():
            yield str(source.path), as_typed(text)
        yield from ((f"{source.path}:{line}", text) for line, text in (*source.plain, *source.docstrings))


def blocks(kind: str, language: str) -> list[str]:
    """The code in README.md between `<!-- kind -->` and `<!-- /kind -->`."""
    marked = re.findall(rf"<!-- {kind} -->(.*?)<!-- /{kind} -->", README, re.DOTALL)
    return [code for part in marked for code in re.findall(rf"```(?:{language})\n(.*?)```", part, re.DOTALL)]


@pytest.fixture
def example(phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `data/`, where networks are quick."""
    shutil.copytree(phantoms, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    use_engine(monkeypatch, RoomyStub)
    monkeypatch.setattr("cxrfeat.backbone.network.SCRATCH_SIZE", 64)
    return tmp_path


def test_options_that_messages_recommend_exist_where_they_are_recommended() -> None:
    known = options()
    every = set().union(*known.values())
    option = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?![\w-])")  # `--no-` before a name is none yet
    named = re.compile(rf"cxrfeat ({'|'.join(sorted(filter(None, known), key=len, reverse=True))})((?: [^\s`.;,:)]+)*)")
    wrong = []
    for where, text in said_by_the_package():
        wrong += [(where, one) for one in option.findall(text) if one not in every]
        for command, rest in named.findall(text):
            asked = option.findall(rest)
            wrong += [(where, f"{command} {one}") for one in asked if one not in known[command]]
    assert not wrong, wrong


def test_a_class_can_be_left_out_wherever_a_class_can_be_too_small_to_part() -> None:
    for name in ("index", "audit", "extract", "fit-head", "tune", "finetune", "reproduce"):
        assert "--classes" in options()[name], name


def test_there_are_the_commands_that_were_promised() -> None:
    assert set(COMMANDS) == {
        "demo", "index", "audit", "extract", "merge", "fit-head", "tune", "compare", "finetune", "reproduce",
        "report", "doctor", "explain", "export", "export-features", "import-features", "labels", "predict",
        "select", "similar", "validate", "verify", "weights import", "weights list",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_in_the_readme(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = COMMANDS[name].split("\n\n")[0].strip()
    assert re.fullmatch(r"[A-Z].{15,}[.]", first, re.DOTALL), f"the help of {name} begins with a sentence"
    assert f"`cxrfeat {name}" in README
    assert run([*name.split(), "--help"]) == 0
    assert " ".join(first.split()) in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name: str) -> None:
    command: Any = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    for parameter in command.params:
        assert (getattr(parameter, "help", None) or "").strip(), f"{name}: {parameter.name}"


def test_what_the_readme_shows_on_the_command_line_runs(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        line.removeprefix("$ ")
        for block in blocks("run", "console|bash|sh")
        for line in block.splitlines()
        if line.removeprefix("$ ").startswith("cxrfeat ")
    ]
    assert lines, "README.md shows at least one command between <!-- run --> and <!-- /run -->"
    for line in lines:
        code = run(shlex.split(line, comments=True)[1:])
        assert code == 0, f"{line}: {capsys.readouterr().err}"


def test_what_the_readme_shows_in_python_runs(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = blocks("python", "python")
    assert shown, "README.md shows at least one piece of Python between <!-- python --> and <!-- /python -->"
    for code in shown:
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_the_readme_says_what_it_is_not() -> None:
    assert "Research use only, never diagnosis" in README
    for code in ("3 bad input", "130 and 143"):
        assert code in README


DOCUMENTS = (
    "README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "SECURITY.md", "features/README.md",
    "runs/README.md", "Makefile", ".ci/run", ".github/ISSUE_TEMPLATE/bug.yml",
)  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_are_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_the_changelog_opens_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"


def test_the_changelog_keeps_to_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert kinds
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        under = re.findall(r"^### (.*)$", part, re.MULTILINE)
        assert len(under) == len(set(under)), "each kind once in a version"


def test_the_version_is_said_in_one_place_and_the_citation_agrees() -> None:
    (cited,) = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited == cxrfeat.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_readme_is_a_screen_and_a_half() -> None:
    assert len(README.splitlines()) <= 115, "what is longer belongs on a page of docs/"
    assert len(README.split()) <= 1100, "what is longer belongs on a page of docs/"


def test_no_place_cites_what_is_not_in_the_repository() -> None:
    absent = [".".join(parts) for parts in (("PAPER", "md"), ("FACTS", "md"), ("DESIGN", "md"), ("STYLE", "md"))]
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        found = [name for name in absent if name in text]
        assert not found, f"{path.relative_to(ROOT)} cites {found}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for document in (
        ROOT / "README.md",
        ROOT / "features" / "README.md",
        ROOT / "runs" / "README.md",
        ROOT / "CHANGELOG.md",
    ):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def tracked() -> Iterator[Path]:
    """Text files of the repository, but for what git ignores."""
    for top in sorted(ROOT.iterdir()):
        hidden = top.name.startswith(".") and top.name not in (".ci", ".gitignore")
        if hidden or top.name in UNTRACKED or top.name.endswith(".egg-info"):
            continue
        for path in [top, *top.rglob("*")]:
            if path.is_file() and path.suffix in (
                "",
                ".md",
                ".toml",
                ".txt",
                ".py",
                ".html",
                ".css",
                ".js",
                ".cfg",
                ".ini",
            ):
                yield path


def test_no_file_says_where_packages_come_from() -> None:
    """Whoever installs has a registry of their own: a name in a file would break or betray it."""
    files = list(tracked())
    assert len(files) > 60
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = [name for name in (*LISTS, "index" + "-url", "find" + "-links", "trusted" + "-host") if name in text]
        assert not found, f"{path.relative_to(ROOT)} names {found}"


def test_pinned_versions_are_nothing_but_names_and_versions() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"(#.*)?|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( ;.*)?", line.strip()), line

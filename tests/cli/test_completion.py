from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cxrfeat
from cxrfeat.cli.main import run

ASKED = {
    "cxrfeat fi": "fit-head finetune",
    "cxrfeat fit-head --mom": "--momentum",
    "cxrfeat fit-head --head svm": "svm-linear svm-rbf",
    "cxrfeat extract --mask l": "lungs",
    "cxrfeat extract --backbone d": "densenet121 densenet169 densenet201",
    "cxrfeat extract --weights r": "random",
    "cxrfeat index --published k": "kermany",
    "cxrfeat finetune --backbone s": "scratch",
    "cxrfeat finetune --head-from o": "other",
    "cxrfeat predict bl": "blobs-1",
    "cxrfeat labels bl": "blobs-1",
    "cxrfeat compare other bl": "blobs-1",
    "cxrfeat compare --by sex,vi": "sex,view_position",
    "cxrfeat predict --runs elsewhere bl": "blobs-2",
    "cxrfeat extract ./": "",  # a path is the shell's own
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with runs, and `cxrfeat` as it stands in the path of a shell."""
    for name in ("runs/blobs-1", "runs/other", "elsewhere/blobs-2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text("{}", encoding="utf-8")
    script = tmp_path / "bin" / "cxrfeat"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom cxrfeat.cli.main import main\nmain()\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(cxrfeat.__file__).parents[1]))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize("asked", [list(ASKED)[:3], pytest.param(list(ASKED), marks=pytest.mark.slow)], ids=len)
def test_bash_completes_commands_options_choices_networks_and_runs(home: Path, asked: list[str]) -> None:
    lines = [
        "cxrfeat --install-completion >/dev/null && source ~/.bashrc",
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMPREPLY=(); _cxrfeat_completion cxrfeat; '
        'echo "${COMPREPLY[*]}"; }',
        *(f"ask {one}" for one in asked),
    ]
    said = subprocess.run(["bash", "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    assert dict(zip(asked, said.stdout.splitlines(), strict=True)) == {one: ASKED[one] for one in asked}


def test_the_program_is_called_the_same_however_it_was_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: cxrfeat [OPTIONS] COMMAND")


@pytest.mark.parametrize(("words", "code"), [("cxrfeat extract --mask l", 0), ("cxrfeat extract ./x", 1)])
def test_what_a_shell_asked_by_the_exit_code_is_answered_by_it(
    words: str, code: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "_CXRFEAT_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "is-args",
        "_TYPER_COMPLETE_ARGS": words,
    }.items():
        monkeypatch.setenv(name, value)
    assert run([]) == code

"""This code beside that of another checkout: each in processes of its own, which import nothing of the other."""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cxrfeat

OURS, BEFORE = "cxrfeat", "before"
"""What tables call the two."""

_WHERE = "import cxrfeat; print(cxrfeat.__file__, flush=True)\n"


def add_against(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the option that names the other checkout."""
    parser.add_argument("--against", type=Path, required=required, help="another checkout of cxrfeat")


def checkouts(other: Path | None) -> dict[str, Path]:
    """Where the code is: this one's, and the other's if one is named; both compiled, as when they are installed."""
    code = {OURS: Path(cxrfeat.__file__).resolve().parents[1]}
    if other is not None:
        code[BEFORE] = other.resolve()
    for place in code.values():
        compileall.compile_dir(place / "cxrfeat", quiet=2)
    return code


def environment_of(code: Path) -> dict[str, str]:
    """For a process that imports cxrfeat from a checkout."""
    return os.environ | {"PYTHONPATH": str(code)}


def command_of(code: Path, folder: Path, *words: str) -> str:
    """What a command of a checkout, called in a folder, says on stdout.

    Raises:
        RuntimeError: If it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "cxrfeat", *words],
        cwd=folder,
        env=environment_of(code),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"cxrfeat {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


class Worker:
    """A process with the code of one checkout, which answers each line of JSON with another."""

    def __init__(self, code: Path, process: subprocess.Popen[str]) -> None:
        """Of a process that says first where its code lies.

        Raises:
            RuntimeError: If that is another place than asked for, or the process ended.
        """
        assert process.stdin is not None
        assert process.stdout is not None
        self._into, self._out = process.stdin, process.stdout
        place = self._line()
        if Path(place).resolve().parents[1] != code:
            raise RuntimeError(f"meant to measure {code}, and the code came from {place}")

    def ask(self, asked: object) -> Any:  # noqa: ANN401  # whatever the script answers
        """Its answer to one question.

        Raises:
            RuntimeError: If it ended in place of an answer.
        """
        print(json.dumps(asked), file=self._into, flush=True)
        return json.loads(self._line())

    def _line(self) -> str:
        line = self._out.readline()
        if not line:
            raise RuntimeError("the process of a checkout ended; see above")
        return line.strip()


@contextlib.contextmanager
def working(code: Path, script: str, *arguments: str) -> Iterator[Worker]:
    """A process of a checkout, until the block ends.

    Args:
        code: Of the checkout.
        script: Python that prints an answer, in one line of JSON, for each line of its stdin.
        arguments: Its `sys.argv[1:]`; paths whole.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _WHERE + script, *arguments],
        cwd=code,  # which comes first where `-c` looks for modules
        env=environment_of(code),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Worker(code, process)

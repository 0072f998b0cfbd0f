"""What lies in a run folder, read without the code that is tested."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from typing import Any

from cxrfeat.run.folder import Run, read_run


def run_json(run: Run) -> dict[str, Any]:
    """`run.json`."""
    told: dict[str, Any] = json.loads((run.path / "run.json").read_bytes())
    return told


def cells(run: Run, name: str) -> dict[str, list[str]]:
    """A table of the run, column by column, as texts."""
    with (run.path / name).open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    return {column: [row[index] for row in rows] for index, column in enumerate(head)}


def change_json(run: Run, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what `run.json` says, as one may who sees to it that the digest fits."""
    told = run_json(run)
    change(told)
    told.pop("digest", None)
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    told["digest"] = hashlib.sha256(text.encode()).hexdigest()
    (run.path / "run.json").write_text(json.dumps(told))


def change_file(run: Run, name: str, content: bytes) -> Run:
    """The run with another file, as one may make it who sees to it that every digest fits."""
    (run.path / name).write_bytes(content)
    change_json(run, lambda told: told["files"].update({name: hashlib.sha256(content).hexdigest()}))
    return read_run(run.path)

"""The reference pages of the site, each written from what it describes: options, schemas, errors, names, checks.

    python -m scripts.reference       # prints them

`scripts/site.py` puts them among the pages of `docs/` when MkDocs builds the site.
"""

from __future__ import annotations

import html
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import cxrfeat
from cxrfeat import errors
from cxrfeat.cli.main import app
from cxrfeat.reporting.term import CHECKS
from scripts.schema import file_of, keys, read

ROOT = Path(__file__).resolve().parents[1]

_OTHER_CODES = {
    0: "Done.",
    1: "An unexpected error, most likely a bug in cxrfeat. Run again with `CXRFEAT_DEBUG=1` and report the output.",
    130: "Interrupted with Ctrl-C. What was finished is kept; run the same command again to continue.",
    143: "Terminated (SIGTERM). What was finished is kept; run the same command again to continue.",
}


def commands() -> Iterator[tuple[str, Any]]:
    """Each command as it is typed, in the order of `cxrfeat --help`."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while pending:
        names, command = pending.pop(0)
        if inner := getattr(command, "commands", None):
            pending[:0] = [((*names, name), one) for name, one in inner.items()]
        else:
            yield " ".join(names), command


def pages() -> dict[str, str]:
    """Every page by its place under `docs/`, in Markdown."""
    return {
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
        "reference/json.md": json_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/checks.md": checks_page(),
        "reference/feature-file.md": (ROOT / "features" / "README.md").read_text(encoding="utf-8"),
        "reference/run-folder.md": (ROOT / "runs" / "README.md")
        .read_text(encoding="utf-8")
        .replace("\n#### ", "\n### "),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    }


def commands_page() -> str:
    """Every command with its help, arguments and options."""
    parts = ["# Commands\n\nWritten from `cxrfeat COMMAND --help`. Research use only, never diagnosis.\n"]
    for name, command in commands():
        usage = " ".join(["cxrfeat", name, *_pieces(command)])
        parts += [f"\n## cxrfeat {name}\n", *_paragraphs(command.help or ""), f"\n```text\n{usage}\n```\n"]
        for title, rows in _panels(command).items():
            parts += [
                f"\n**{title}**\n\n| {'argument' if title == 'Arguments' else 'option'} | what it is |\n|---|---|\n",
                *rows,
            ]
        if file_of(name).is_file():
            parts.append(f"\n`--json`: [what it prints](json.md#cxrfeat-{name.replace(' ', '-')}).\n")
    return "".join(parts)


def json_page() -> str:
    """Every key of every command's document."""
    parts = [
        "# JSON documents\n\nWith `--json` a command prints exactly one document on stdout, also where it ends with an "
        "exit code other than 0 after the work was done. Each is described by a JSON Schema. Later versions may add "
        "keys. `[]` stands for each entry of a list, `*` for each name.\n"
    ]
    for name, _ in commands():
        if not file_of(name).is_file():
            continue
        schema = read(file_of(name))
        link = f"../schema/{file_of(name).name}"
        parts.append(f"\n## cxrfeat {name}\n\nSchema: [`{file_of(name).name}`]({link})\n")
        for one in schema.get("anyOf", [schema]):
            if "description" in one:
                parts.append(f"\n{one['description']}\n")
            parts.append("\n| key | type | what it is |\n|---|---|---|\n")
            for place, inner, always in keys(one):
                often = "" if always else " Not always there."
                parts.append(f"| `{place}` | {_type(inner)} | {_cell(inner['description'])}{often} |\n")
    return "".join(parts)


def exit_codes_page() -> str:
    """Every exit code and the errors behind it."""
    kinds = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.CxrFeatError)]
    rows = {code: f"| {code} | {text} | |\n" for code, text in _OTHER_CODES.items()}
    for code in sorted({kind.exit_code for kind in kinds} - {1}):
        which = [kind for kind in kinds if kind.exit_code == code]
        first = next(kind for kind in which if kind.__base__ is errors.CxrFeatError)
        names = ", ".join(f"`{kind.__name__}`" for kind in which)
        rows[code] = f"| {code} | {_cell(inspect.getdoc(first) or '')} | {names} |\n"
    return (
        "# Exit codes\n\nErrors go to stderr as one sentence that begins with `cxrfeat:`. In Python the same errors "
        "are raised; `cxrfeat.CxrFeatError` is the root of them all.\n\n"
        "| code | meaning | errors in Python |\n|---|---|---|\n" + "".join(rows[code] for code in sorted(rows))
    )


def python_page() -> str:
    """Every name of the package, functions first, for mkdocstrings to fill."""
    found = {name: getattr(cxrfeat, name) for name in cxrfeat.__all__}
    kinds = {
        "Functions": [name for name, one in found.items() if not inspect.isclass(one) or name.islower()],
        "Classes": [
            name for name, one in found.items() if inspect.isclass(one) and not _error(one) and not name.islower()
        ],
        "Errors": [name for name, one in found.items() if _error(one)],
    }
    parts = ["# Python\n\n`import cxrfeat` is light: TensorFlow loads when a network runs, if at all.\n"]
    for title, names in kinds.items():
        parts.append(f"\n## {title}\n")
        for name in names:
            one = found[name]
            place = f"{one.__module__}.{one.__qualname__}"
            if name.islower() and inspect.isclass(one):  # described once, under its own name
                parts.append(f"\n### cxrfeat.{name}\n\n[`cxrfeat.{one.__name__}`][{place}], as a verb: {_first(one)}\n")
                continue
            parts.append(
                f"\n::: {place}\n    options:\n      heading: cxrfeat.{name}\n      toc_label: {name}\n"
                "      heading_level: 3\n"
            )
    return "".join(parts)


def checks_page() -> str:
    """Every check of the audit, and of `explain`, by name."""
    rows = "".join(f"| `{name}` | {_cell(what[0].upper() + what[1:])}. |\n" for name, what in CHECKS.items())
    return (
        "# Checks\n\nEach check says `pass`, `warn` or `fail`, why, and what to do. What the verdicts mean: "
        f"[The audit](../concepts/audit.md).\n\n| check | what it looks at |\n|---|---|\n{rows}"
    )


def _first(one: object) -> str:
    """The first line of its docstring."""
    return _cell((inspect.getdoc(one) or "").split("\n", maxsplit=1)[0])


def _error(one: object) -> bool:
    return inspect.isclass(one) and issubclass(one, errors.CxrFeatError)


def _pieces(command: Any) -> list[str]:  # Typer's own click, or click's
    context = command.make_context("cxrfeat", [], resilient_parsing=True)
    return [str(piece) for piece in command.collect_usage_pieces(context)]


def _panels(command: Any) -> dict[str, list[str]]:  # likewise
    """Rows of the tables of arguments and options, under their titles, as `--help` has them."""
    context = command.make_context("cxrfeat", [], resilient_parsing=True)
    found: dict[str, list[str]] = {"Arguments": [], "Options": []}
    for one in command.get_params(context):
        record = one.get_help_record(context)
        if record is None:
            continue
        usual = "Arguments" if one.param_type_name == "argument" else "Options"
        title = getattr(one, "rich_help_panel", None) or usual
        found.setdefault(title, []).append(f"| `{_cell(record[0], code=True)}` | {_cell(record[1])} |\n")
    return {title: rows for title, rows in found.items() if rows}


def _paragraphs(text: str) -> list[str]:
    return [f"\n{_cell(' '.join(part.split()))}\n" for part in text.split("\n\n")]


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
    kinds = schema.get("type") or [one.get("type", "") for one in schema.get("anyOf", ())]
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def _cell(text: str, *, code: bool = False) -> str:
    """A text as it can stand in a table."""
    line = " ".join(text.split())
    if not code:
        line = re.sub(r"[*_\[\]]", r"\\\g<0>", html.escape(line, quote=False))
    return line.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(pages().values()))

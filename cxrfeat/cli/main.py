"""The command line's front door: every command registered, and every error turned into a sentence and an exit code."""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
from io import TextIOWrapper
from types import FrameType
from typing import Any

import typer

from cxrfeat.cli import (
    audit,
    compare,
    demo,
    doctor,
    explain,
    export,
    export_features,
    extract,
    finetune,
    fit_head,
    import_features,
    index,
    labels,
    merge,
    predict,
    report,
    reproduce,
    select,
    similar,
    tune,
    validate,
    verify,
    weights,
)
from cxrfeat.cli.console import printable
from cxrfeat.cli.fields import expanded
from cxrfeat.cli.help import WIDTH, Command
from cxrfeat.cli.hiding import command_line, if_asked
from cxrfeat.cli.words import as_typed
from cxrfeat.errors import CxrFeatError
from cxrfeat.system.given import nearest
from cxrfeat.system.process import leave
from cxrfeat.version import __version__

app = typer.Typer(
    name="cxrfeat",
    help="Cached features of frozen networks for chest X-rays, and honest classifiers on them.\n\n"
    "Research use only, never diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


_COMPLETING = "_CXRFEAT_COMPLETE"
"""In the environment where a shell asks what could stand next."""


class _Terminated(BaseException):
    """SIGTERM, as an exception that no cleanup mistakes for an error."""


def _version(value: bool) -> None:
    if value:
        print(f"cxrfeat {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


for command, name in (
    (demo.demo, "demo"),
    (index.index, "index"),
    (audit.audit, "audit"),
    (extract.extract, "extract"),
    (merge.merge, "merge"),
    (fit_head.fit_head, "fit-head"),
    (tune.tune, "tune"),
    (compare.compare, "compare"),
    (finetune.finetune, "finetune"),
    (report.report, "report"),
    (predict.predict, "predict"),
    (validate.validate, "validate"),
    (explain.explain, "explain"),
    (labels.labels, "labels"),
    (similar.similar, "similar"),
    (select.select, "select"),
    (reproduce.reproduce, "reproduce"),
    (verify.verify, "verify"),
    (export.export, "export"),
    (export_features.export_features, "export-features"),
    (import_features.import_features, "import-features"),
    (doctor.doctor, "doctor"),
):
    app.command(name, cls=Command, context_settings=WIDTH)(expanded(command))
app.add_typer(weights.app, name="weights")


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing a user does gives a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with command_line(sys.argv[1:] if arguments is None else arguments):
        return _run(arguments)


def _run(arguments: list[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name need not be text that can be written
    try:
        code = _command()(arguments, prog_name="cxrfeat", standalone_mode=False)  # also as `python -m cxrfeat`
        sys.stdout.flush()  # here, where a full disk or a closed pipe still becomes a sentence
        if code == 130:  # what Typer makes of a KeyboardInterrupt
            return _say("Interrupted. What was finished is kept; run the same command again to continue.", 130)
        return code if isinstance(code, int) else 0
    except CxrFeatError as error:
        return _say(as_typed(str(error)), error.exit_code)
    except _Terminated:
        return _say("Terminated. What was finished is kept; run the same command again to continue.", 143)
    except (BrokenPipeError, SystemExit) as left:  # the second is what Typer makes of the first
        if isinstance(left, SystemExit) and _COMPLETING in os.environ:  # or how it ends when a shell has asked
            sys.stdout.flush()
            return int(left.code or 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader left; Python would complain once more at exit
        return 0
    except Exception as error:  # the last line of defence: every expected error has a class of its own
        if _is_usage_error(error):
            if wrong := wrong_choice(str(error)):
                return _say(f"{error.param.opts[0]} {wrong}", 2)  # type: ignore[attr-defined]  # click's, like the next
            error.show()  # type: ignore[attr-defined]  # of click's own errors
            return 2
        if os.environ.get("CXRFEAT_DEBUG"):
            raise
        if isinstance(error, OSError) and error.errno:
            return _say(f"The system refused: {error}. Check the disk and the folder, then try again.", 7)
        return _say(
            f"An unexpected error, most likely a bug in cxrfeat: {type(error).__name__}: {error}. "
            "Run it again with CXRFEAT_DEBUG=1 in the environment and report what it prints.",
            1,
        )


@functools.cache
def _command() -> Any:  # noqa: ANN401  # a command of the parser that Typer brings along
    """All commands as the parser takes them, put together once in a process."""
    return typer.main.get_command(app)


def wrong_choice(message: str) -> str:
    """What is wrong with a choice, in this package's manner; empty if that is not what the parser objects to.

    Example:
        >>> wrong_choice("'lung' is not one of 'none', 'lungs', 'outside'.")
        "is none, lungs or outside; got 'lung'. Did you mean lungs?"
    """
    found = re.search(r"'(.*)' is not one of ('.*')\.$", message, re.DOTALL)
    if found is None:
        return ""
    *others, last = choices = re.findall("'([^']*)'", found[2])
    return f"is {', '.join(others)} or {last}; got {found[1]!r}.{nearest(found[1], choices)}"


def _is_usage_error(error: Exception) -> bool:
    """Whether it is the option parser's: Typer may bring a copy of click of its own, so the class goes by its name."""
    return any(kind.__name__ == "ClickException" for kind in type(error).__mro__)


def _say(message: str, code: int) -> int:
    print(f"cxrfeat: {printable(if_asked(message))}", file=sys.stderr)
    return code


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _terminate)
    for name in ("stdout", "stderr"):  # Python leaves them out when the caller closed them
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    code = run()
    leave()
    sys.exit(code)

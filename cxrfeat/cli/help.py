"""How `--help` is laid out: plain text, options under their titles."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

WIDTH: dict[str, Any] = {"max_content_width": 100}
"""Columns that help fills at most, where the terminal has them."""
_UNBROKEN = "\N{NON-BREAKING HYPHEN}"


class Command(TyperCommand):
    """A command whose options stand under the titles that they were given, in the order of their first option."""

    def get_help(self, ctx: Any) -> str:  # noqa: ANN401  # Click has types of its own
        """The text, in which no name is broken at a hyphen: `svm-linear` can be copied."""
        return super().get_help(ctx).replace(_UNBROKEN, "-")

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  # Click has types of its own
        """Write it, with hyphens within words as what a line does not end at."""
        text, rows = formatter.write_text, formatter.write_dl
        formatter.write_text = lambda one: text(_unbroken(one))
        formatter.write_dl = lambda some: rows([(name, _unbroken(meaning)) for name, meaning in some])
        super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  # Typer's own click, or click's
        """Write arguments, options without a title, then the others."""
        titled: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for one in self.get_params(ctx):
            record = one.get_help_record(ctx)
            usual = "Arguments" if one.param_type_name == "argument" else "Options"
            if record is not None:
                titled.setdefault(getattr(one, "rich_help_panel", None) or usual, []).append(record)
        for title, records in titled.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _unbroken(text: str) -> str:
    return re.sub(r"(?<=\w)-(?=\w)", _UNBROKEN, text)

"""How `--help` is laid out: plain text, options under their titles."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

WIDTH: dict[str, Any] = {"max_content_width": 100}
"""Columns that help fills at most, where the terminal has them."""


class Command(TyperCommand):
    """A command whose options stand under the titles that they were given, in the order of their first option."""

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

"""How a page becomes small enough: pictures go first, then maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cxrfeat.errors import InputError
from cxrfeat.reporting.content import (
    DataContent,
    ReportContent,
)
from cxrfeat.reporting.page import render_report

LIMIT = 10_000_000
"""Bytes that a page stays below, so that it can be sent by mail; pictures go first."""


def below_limit(content: ReportContent) -> tuple[ReportContent, bytes]:
    """The page, with as many of its pictures as it may hold.

    Raises:
        InputError: If it is too large without any.
    """
    for smaller in (content, *_smaller(content)):
        page = render_report(smaller).encode()
        if len(page) < LIMIT:
            return smaller, page
    raise InputError(
        f"A page of {sum(len(data.runs) for data in content.data)} runs is {len(page) / 1e6:.1f} MB even without "
        f"pictures, and stays below {LIMIT / 1e6:.0f}. Report fewer runs at a time."
    )


def _smaller(content: ReportContent) -> Iterator[ReportContent]:
    """The same with fewer and fewer pictures, and a note of what is missing."""

    def of(change: Any, note: str) -> ReportContent:  # noqa: ANN401  # DataContent in, DataContent out
        return replace(content, data=tuple(map(change, content.data)), notes=(*content.notes, note))

    def heat(data: DataContent, most: int) -> DataContent:
        return replace(
            data,
            runs=tuple(
                replace(run, heat=run.heat and replace(run.heat, pictures=(), means=())) if place >= most else run
                for place, run in enumerate(data.runs)
            ),
        )

    limit = f"to stay below {LIMIT / 1e6:.0f} MB"
    yield of(lambda data: heat(data, 1), f"Heat maps of the best run only, {limit}.")
    yield of(lambda data: heat(data, 0), f"Without heat maps, {limit}.")
    yield of(lambda data: replace(heat(data, 0), tiles=None), f"Without any picture, {limit}.")
    yield of(lambda data: replace(heat(data, 0), tiles=None, maps=()), f"Without pictures and feature maps, {limit}.")

"""A page that is complete in itself: its own script and style and nothing else, everything escaped."""

from __future__ import annotations

import functools
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cxrfeat.call import PYTHON, Words
from cxrfeat.reporting.table import RESEARCH_USE
from cxrfeat.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment


def fill(
    template: str,
    *,
    words: Words = PYTHON,
    script: str | None = None,
    **values: Any,  # noqa: ANN401  # whatever it names
) -> str:
    """A template with its values; the page may run this script and use its own style, and nothing else.

    What the template passes through its filter `said` is said in these words.
    """
    css = text_of("style.css")
    policy = f"default-src 'none'; style-src '{_digest(css)}'; img-src data:; base-uri 'none'; form-action 'none'"
    if script:
        policy += f"; script-src '{_digest(script)}'"
    return (
        _environment(words)
        .get_template(template)
        .render(
            **values,
            css=Markup(css),  # our own file
            script=Markup(script) if script else None,  # our own file
            policy=Markup(policy),  # the quotes in it are no attribute's
            research_use=RESEARCH_USE,
            version=__version__,
        )
    )


@functools.cache
def _environment(words: Words) -> Environment:
    """Where templates lie: it keeps each once it is compiled, which takes longer than to fill it in."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("cxrfeat.reporting"), autoescape=select_autoescape(default=True), trim_blocks=True
    )
    environment.filters["said"] = words.message
    return environment


def text_of(name: str) -> str:
    """A file next to the templates; none holds the end of the element it is put into."""
    return files("cxrfeat.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a Content-Security-Policy names the one script or style that may be used."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"

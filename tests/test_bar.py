"""In a notebook, long work shows a bar without being asked, and takes it away at the end."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import cxrfeat
from cxrfeat.bar import Bar, in_notebook, with_bar
from tests.test_pace import Clock


class Handle:
    """Keeps what a cell shows in one place, the last of it last."""

    def __init__(self, shown: list[dict[str, str]]) -> None:
        self.shown = shown

    def update(self, what: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(what)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What IPython is asked to show, in what it takes for a kernel."""
    shown: list[dict[str, str]] = []

    def display(what: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        assert not shown, "one bar"
        shown.append(what)
        return Handle(shown)

    ipython, place = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.__dict__.update(get_ipython=lambda: SimpleNamespace(kernel=object()), display=place)
    place.__dict__["display"] = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", place)
    return shown


def test_a_terminal_and_a_script_are_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    ipython = ModuleType("IPython")
    for shell in (None, SimpleNamespace()):  # nothing of IPython runs; IPython in a terminal
        ipython.__dict__["get_ipython"] = lambda shell=shell: shell
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        assert not in_notebook()


def test_a_bar_is_drawn_a_few_times_a_second_and_names_are_escaped(notebook: list[dict[str, str]]) -> None:
    clock = Clock()
    bar = Bar("views", clock)
    for done in range(1, 101):
        clock.at += 0.1
        bar("<b>", done, 100)
    assert 30 < len(notebook) < 60
    assert 'value="1" max="100"' in notebook[0]["text/html"]
    assert notebook[-1]["text/plain"] == "<b>: 100 of 100, 10.0 views/s"
    for one in notebook:
        assert "<b>" not in one["text/html"]
        HTMLParser().feed(one["text/html"])
    bar("loading", 0, 1)
    assert notebook[-1]["text/plain"] == "loading"
    assert "max" not in notebook[-1]["text/html"], "a step that is not counted has a bar without an end"
    bar.close()
    assert notebook[-1] == {"text/html": "", "text/plain": ""}


def test_a_bar_is_gone_after_an_error_and_not_drawn_where_a_callback_was_given(notebook: list[dict[str, str]]) -> None:
    @with_bar("fits")
    def work(progress: Any = None) -> None:
        progress("work", 1, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert [one["text/plain"] for one in notebook] == ["work: 1 of 2", ""]
    notebook.clear()
    told: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        work(progress=lambda *step: told.append(step))
    assert told == [("work", 1, 2)]
    assert not notebook


def test_verbs_of_the_package_show_one(notebook: list[dict[str, str]], phantoms: Path) -> None:
    cxrfeat.index(phantoms)
    (done, total) = notebook[-2]["text/plain"].split(" of ")
    assert done == total
    assert notebook[-1]["text/plain"] == ""


def test_every_verb_that_takes_a_callback_shows_a_bar_without_one() -> None:
    import inspect

    for name in cxrfeat.__all__:
        verb = getattr(cxrfeat, name)
        if inspect.isfunction(verb) and "progress" in inspect.signature(verb).parameters:
            assert hasattr(verb, "__wrapped__"), f"{name} wants `with_bar`"

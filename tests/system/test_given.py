from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.system.given import as_path, as_paths, one_or_many


class Placed:
    """Whatever stands at a path."""

    def __fspath__(self) -> str:
        return "a/b"


@pytest.mark.parametrize("given", ["a/b", Path("a/b"), Placed(), np.str_("a/b"), "./a/b", "a/b/"])
def test_a_path_is_a_path_in_any_form(given: Any) -> None:
    assert as_path(given) == Path("a/b")
    assert as_paths(given) == as_paths([given]) == [Path("a/b")]


def test_the_home_folder_is_meant_as_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert as_path("~/data") == as_path(Path("~/data")) == tmp_path / "data"
    assert as_path("~nobody-of-this-name/data") == Path("~nobody-of-this-name/data")
    (tmp_path / "~").mkdir()
    assert as_path("~") == Path("~"), "what is there is what was meant"


@pytest.mark.parametrize("given", ["", "  "])
def test_an_empty_text_does_not_mean_the_current_folder(given: str) -> None:
    with pytest.raises(InputError, match=re.escape("An empty text was given as the data folder. Name one, or '.'")):
        as_path(given, "the data folder")


@pytest.mark.parametrize("given", [3, None, b"a", np.zeros(2), {"a": 1}])
def test_what_is_no_path_is_named(given: Any) -> None:
    with pytest.raises(TypeError, match=f"Give an image as text or Path; got {type(given).__name__}"):
        as_path(given, "an image")


@pytest.mark.parametrize(
    "collect", [list, tuple, iter, np.array, lambda many: dict.fromkeys(many), lambda many: map(str, many)]
)
def test_many_are_many_and_keep_their_order(collect: Callable[[list[str]], Any]) -> None:
    assert as_paths(collect(["b", "a"])) == [Path("b"), Path("a")]


def test_one_is_one() -> None:
    thing = object()
    assert one_or_many(thing) == [thing]
    assert one_or_many("abc") == ["abc"]
    assert one_or_many([]) == []

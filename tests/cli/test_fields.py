from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import pytest
import typer

from cxrfeat.cli.fields import Fields, Settings, docs_of, expanded, help_of
from cxrfeat.cli.options import DrawnViews, Head, Views
from cxrfeat.errors import UsageError
from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, SplitSpec, ViewSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Something to be done."""

    kind: Literal["hot", "cold"] = "hot"
    """How it is served: `hot` or `cold`; see `salt`. The rest is no help."""
    salt: float = 0.5
    """Grams
    of salt."""
    parts: tuple[int, ...] | None = None
    """Parts of each."""
    stirred: bool = True
    """Whether it is."""


def taken(annotation: Any, *words: str) -> Settings:
    """What a command with these options is given."""
    found: list[Settings] = []

    def command(*, given: Settings) -> None:
        found.append(given)

    command.__annotations__ = {"given": annotation}
    app = typer.Typer()
    app.command()(expanded(command))
    app(list(words), standalone_mode=False)
    return found[0]


def test_the_fields_of_a_description_are_options_with_their_types_defaults_and_docs() -> None:
    of = Annotated[Settings, Fields(spec=Recipe)]
    assert taken(of) == {"kind": "hot", "salt": 0.5, "parts": None, "stirred": True}
    words = ("--head", "cold", "--salt", "1.0", "--parts", "3,2", "--no-stirred")
    assert taken(of, *words) == {"kind": "cold", "salt": 1.0, "parts": (3, 2), "stirred": False}
    assert Fields(spec=Recipe).words(Recipe(**taken(of, *words))) == list(words)
    assert help_of(Recipe, "kind") == "How it is served: hot or cold; see --salt."
    assert docs_of(Recipe)["salt"] == "Grams of salt."
    with pytest.raises(Exception, match="'tepid' is not one of 'hot', 'cold'"):
        taken(of, "--head", "tepid")
    with pytest.raises(UsageError, match=r"^--parts takes numbers separated by commas; got 'two'"):
        taken(of, "--parts", "two")


def test_of_a_recipe_only_what_is_given_is_taken() -> None:
    of = Annotated[Settings, Fields(spec=Recipe, recipe=True)]
    assert taken(of) == {}
    assert taken(of, "--stirred", "--salt", "0.5") == {"salt": 0.5, "stirred": True}
    assert Fields(spec=Recipe, recipe=True).words(Recipe()) == ["--head", "hot", "--salt", "0.5", "--stirred"]


def test_choices_that_may_be_given_again_are_plain_texts() -> None:
    found: list[Any] = []

    def command(one: Annotated[list[Literal["a", "b"]] | None, typer.Option("--one")] = None) -> None:
        found.append(one)

    app = typer.Typer()
    app.command()(expanded(command))
    app(["--one", "b", "--one", "a"], standalone_mode=False)
    app([], standalone_mode=False)
    assert found == [["b", "a"], None]
    assert {type(one) for one in found[0]} == {str}


@pytest.mark.parametrize("spec", [ViewSpec, FeatureSpec, SplitSpec, HeadSpec, FinetuneSpec])
def test_every_field_of_a_description_has_a_doc(spec: type) -> None:
    assert [field.name for field in fields(spec) if not help_of(spec, field.name)] == []


def test_every_field_of_a_head_and_of_views_is_an_option() -> None:
    named = {field.name for field in fields(HeadSpec)} - {"kind", "seed"}
    assert set(taken(Head)) == named
    assert set(taken(Views)) == {*taken(DrawnViews), "count"}
    assert HeadSpec(kind="dense", **taken(Head)) == HeadSpec(kind="dense")
    assert ViewSpec(size=224, **taken(Views)) == ViewSpec(size=224)

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrfeat.call import Call
from cxrfeat.cli.again import command_line
from cxrfeat.cli.fields import Fields, Settings, docs_of, expanded, help_of
from cxrfeat.cli.options import DrawnViews, Head, Protocol, Training, Views
from cxrfeat.errors import UsageError
from cxrfeat.finetuning.recipe import DEFAULT, PAPER
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
    with pytest.raises(UsageError, match=r"^--parts is numbers with commas between them; got 'two'"):
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


heads = st.builds(
    HeadSpec,
    kind=st.just("dense"),
    epochs=st.integers(0, 3),
    learning_rate=st.sampled_from([0.01, 1e-7, 0.1 + 0.2]),
    hidden=st.sampled_from([None, (8,), (8, 4)]),
    patience=st.sampled_from([None, 0, 3]),
    schedule=st.sampled_from(["inverse-time", "cosine"]),
    standardize=st.booleans(),
    calibrate=st.booleans(),
    strength=st.sampled_from([None, 0.5]),
)


@given(heads)
@settings(max_examples=25, deadline=None)
def test_the_command_of_a_head_gives_that_head_again(head: HeadSpec) -> None:
    words = shlex.split(command_line(Call("fit", ("x.h5", head), {"seed": 3})))
    assert words[:5] == ["cxrfeat", "fit-head", "x.h5", "--head", "dense"]
    assert words[-2:] == ["--seed", "3"]
    assert HeadSpec(kind="dense", **taken(Head, *words[5:-2])) == head


@pytest.mark.parametrize(
    "spec", [DEFAULT, PAPER, replace(DEFAULT, clip=None, freeze_until="conv5", precision="float16")]
)
def test_the_command_of_a_fine_tuning_needs_no_recipe(spec: FinetuneSpec) -> None:
    words = shlex.split(command_line(Call("finetune", ("DATA",), {"head_from": "mine", "spec": spec, "seed": 0})))
    assert words[:5] == ["cxrfeat", "finetune", "DATA", "--head-from", "mine"]
    protocol, (precision, *_) = words[5:-4], words[-3:]
    assert (words[-4], precision) == ("--precision", spec.precision)
    start = protocol.index("--clip")
    other = PAPER if spec is DEFAULT else DEFAULT
    again = replace(
        replace(other, **taken(Training, *protocol[start:])),
        head=replace(other.head, kind=spec.head.kind, **taken(Protocol, *protocol[:start])),
        precision=spec.precision,
    )
    assert again == spec


def test_a_cold_start_names_the_head_that_is_drawn() -> None:
    call = Call("finetune", ("DATA",), {"cache": "features/x.h5", "warm": None, "spec": PAPER, "seed": 0})
    assert "--cache features/x.h5 --cold --head dropout --epochs 20 " in command_line(call)
    assert "--cold" not in command_line(Call("finetune", ("DATA",), {"head_from": "mine", "spec": PAPER}))

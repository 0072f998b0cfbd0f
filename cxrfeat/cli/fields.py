"""Options made of descriptions: a field's type, default and doc are its option's, and its value goes back into it."""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import inspect
import itertools
import re
import sys
import typing
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin, runtime_checkable

import typer

from cxrfeat.cli.words import option_of, words_of
from cxrfeat.errors import UsageError

Settings = dict[str, Any]
"""Fields by name, as they were given: what a description, or `dataclasses.replace`, takes."""


@runtime_checkable
class Group(Protocol):
    """Options that a command takes as one value: stands in `Annotated[Settings, ...]`."""

    __slots__ = ()

    @property
    def names(self) -> list[str]:
        """Of the options, as parameters."""

    def parameters(self) -> list[inspect.Parameter]:
        """The options as Typer has them."""

    def collected(self, given: Mapping[str, Any]) -> Settings:
        """What they give, by name.

        Raises:
            UsageError: If a value cannot be read.
        """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fields(Group):
    """Fields of a description that a command takes as options: stands in `Annotated[Settings, Fields(...)]`.

    A field that is added to the description is added to the command.
    """

    spec: type
    but: Collection[str] = ()
    """Fields that are not options."""
    only: Collection[str] | None = None
    """If given, no other field is one."""
    panels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Titles in `--help`, each from the field on that it is named with."""
    recipe: bool = False
    """Whether the defaults are a recipe's: only what is given is collected, and no default is shown."""

    @property
    def fields(self) -> list[dataclasses.Field[Any]]:
        """Those that are options, in the description's order."""
        return [
            field
            for field in dataclasses.fields(self.spec)
            if field.name not in self.but and (self.only is None or field.name in self.only)
        ]

    @property
    def names(self) -> list[str]:
        """Of the fields."""
        return [field.name for field in self.fields]

    def parameters(self) -> list[inspect.Parameter]:
        """The fields as Typer has them."""
        kinds, panels = typing.get_type_hints(self.spec), self._panels()
        made = []
        for field in self.fields:
            kind: Any = kinds[field.name]
            default: Any = None if self.recipe else field.default
            metavar: str | None = None
            if _numbers_in(kind) is not None:
                kind, default = str | None, default and ",".join(f"{one:g}" for one in default)
                metavar = "<numbers>"
            both = kind is bool and (self.recipe or field.default)
            option = option_of(field.name, self.spec)
            info = typer.Option(
                f"{option}/--no-{option.removeprefix('--')}" if both else option,
                help=help_of(self.spec, field.name),
                metavar=metavar,
                rich_help_panel=panels[field.name],
                show_default=not self.recipe,
            )
            made.append(_parameter(field.name, kind | None if self.recipe else kind, info, default))
        return made

    def collected(self, given: Mapping[str, Any]) -> Settings:
        """The values of the options, as the description takes them.

        Raises:
            UsageError: If a list of numbers is none.
        """
        kinds = typing.get_type_hints(self.spec)
        found: Settings = {}
        for field in self.fields:
            value, number = given[field.name], _numbers_in(kinds[field.name])
            if value is not None and number is not None:
                value = numbers(option_of(field.name, self.spec), value, number)
            if value is not None or not self.recipe:
                found[field.name] = value
        return found

    def words(self, spec: object) -> list[str]:
        """The options that give this description again, as far as they are not given by default."""
        kinds, said = typing.get_type_hints(self.spec), []
        for field in self.fields:
            value = getattr(spec, field.name)
            if self.recipe and value is None and {int, float} & {*get_args(kinds[field.name])}:
                value = 0  # how "none" is spelled where a recipe may have a number
            if value != (None if self.recipe else field.default):
                said += words_of(field.name, value, self.spec)
        return said

    def _panels(self) -> dict[str, str | None]:
        panel, found = None, {}
        for field in dataclasses.fields(self.spec):
            panel = found[field.name] = self.panels.get(field.name, panel)
        return found


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters Typer understands: descriptions' fields, and lists of choices.

    Args:
        command: Takes `Annotated[Settings, Fields(...)]` for the fields of a description, or another group of options,
            and `list[Literal[...]]`, which Typer knows for enumerations only.
    """
    taken: dict[str, Group] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        group = next((one for one in get_args(parameter.annotation)[1:] if isinstance(one, Group)), None)
        if group is not None:
            taken[parameter.name] = group
            parameters += group.parameters()
        else:
            parameters.append(_for_typer(parameter))

    def run(**given: Any) -> None:  # noqa: ANN401  # whatever the options are
        for name, group in taken.items():
            collected = group.collected(given)
            for option in group.names:
                del given[option]
            given[name] = collected
        command(**{name: _plain(value) for name, value in given.items()})

    run.__doc__, run.__name__, run.__module__ = command.__doc__, command.__name__, command.__module__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what `inspect` reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def help_of(spec: type, field: str) -> str:
    """The first sentence of a field's doc, in the command line's words.

    Example:
        >>> from cxrfeat.spec import HeadSpec
        >>> help_of(HeadSpec, "epochs")
        'Passes over the training rows; 0 leaves the head at its random start.'
    """
    first = re.split(r"(?<=[^.]\.)\s", docs_of(spec).get(field, ""), maxsplit=1)[0]
    names = {one.name for one in dataclasses.fields(spec)} - set(choices_in(typing.get_type_hints(spec)[field]))
    return re.sub(r"`([^`]*)`", lambda found: option_of(found[1], spec) if found[1] in names else found[1], first)


@functools.cache
def docs_of(spec: type) -> dict[str, str]:
    """What stands under each field of a description, which Python itself does not keep."""
    try:
        tree = _tree(spec.__module__)
    except OSError:  # no source was shipped: options without help are better than none
        return {}
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == spec.__name__)
    return {
        field.target.id: inspect.cleandoc(doc.value.value).replace("\n", " ")
        for field, doc in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


def numbers(option: str, text: str, kind: type[Any]) -> tuple[Any, ...]:
    """Numbers from a text with commas between them.

    Raises:
        UsageError: If it is no such text.

    Example:
        >>> numbers("--hidden", "500,200", int)
        (500, 200)
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} takes numbers separated by commas; got {text!r}.") from None


def choices_in(kind: Any) -> tuple[str, ...]:  # noqa: ANN401  # a type, or what stands for several
    """The choices of a type; none where it is free."""
    for one in (kind, *get_args(kind)):
        if get_origin(one) is Literal:
            return get_args(one)
    return ()


def _numbers_in(kind: Any) -> type[Any] | None:  # noqa: ANN401  # a type, or what stands for several
    """The type of the numbers that a field holds several of; `None` where it holds one."""
    for one in (kind, *get_args(kind)):
        if get_origin(one) is tuple:
            number: type[Any] = get_args(one)[0]
            return number
    return None


def _parameter(name: str, kind: Any, info: Any, default: Any) -> inspect.Parameter:  # noqa: ANN401  # of any type
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])


def _for_typer(parameter: inspect.Parameter) -> inspect.Parameter:
    """The same with an enumeration in place of the choices in a list, which is the only way that Typer knows them."""
    kind, *others = get_args(parameter.annotation) if get_origin(parameter.annotation) is Annotated else (None,)
    for one in get_args(kind):
        choices = choices_in(one) if get_origin(one) is list else ()
        if choices:
            (info,) = others
            info = copy.copy(info)
            info.metavar = f"<{'|'.join(choices)}>"
            enumeration = StrEnum("Choice", {choice: choice for choice in choices})  # type: ignore[misc]  # made at run time
            return parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=Annotated[list[enumeration] | None, info])
    return parameter.replace(kind=parameter.KEYWORD_ONLY)


def _plain(value: Any) -> Any:  # noqa: ANN401  # the value of any option
    """Texts in place of the members of an enumeration."""
    return [str(one) if isinstance(one, StrEnum) else one for one in value] if isinstance(value, list) else value

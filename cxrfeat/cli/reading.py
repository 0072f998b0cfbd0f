"""How a folder of images is read, as options: each spelled once, for every command that reads one."""

from __future__ import annotations

import csv
import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrfeat.cli import completion
from cxrfeat.cli.fields import Group, Settings
from cxrfeat.cli.options import IMAGES
from cxrfeat.errors import UsageError
from cxrfeat.image.projection import Projection

if TYPE_CHECKING:
    from cxrfeat.image.row import Selection

Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--classes",
        metavar="<name,...>",
        help="Take only these classes, separated by commas; may be repeated. Put a name that contains a comma in "
        "double quotes: --classes 'NORMAL,\"COVID, ARDS\"'.",
        show_default=False,
        rich_help_panel=IMAGES,
    ),
]
PerClass = Annotated[
    int | None, typer.Option("--per-class", help="Take exactly this many of each class.", rich_help_panel=IMAGES)
]
Limit = Annotated[
    int | None, typer.Option("--limit", help="Take at most this many of each class.", rich_help_panel=IMAGES)
]
PatientRegex = Annotated[
    str | None,
    typer.Option(
        "--patient-regex",
        metavar="<regex>",
        help="Pattern that extracts the patient from a file's path, or the name of a published set's pattern: "
        "chexpert, figure1, kermany, mimic-cxr, nih, nlm-tb, ricord, siim-covid19.",
        rich_help_panel=IMAGES,
    ),
]
FollowLinks = Annotated[
    list[Path] | None,
    typer.Option(
        "--follow-links",
        metavar="<folder>",
        help="A folder outside the data into which links may lead; may be repeated.",
        rich_help_panel=IMAGES,
    ),
]
Masks = Annotated[
    list[Path] | None,
    typer.Option(
        "--masks",
        metavar="<folder|table>",
        help="Lung masks that are not among the images: a folder of pictures or arrays (cxas, torchxrayvision), or a "
        "table of runs (CheXmask); may be repeated.",
        rich_help_panel=IMAGES,
    ),
]
Metadata = Annotated[
    Path | None,
    typer.Option(
        "--metadata",
        metavar="<table>",
        help="Table of the images: CSV, TSV, gzipped or not, Parquet or .xlsx. Default: metadata.csv next to them.",
        rich_help_panel=IMAGES,
    ),
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="<name=title,...>",
        help="Which column of the table holds what, by title: --column 'image=Image Index,label=Finding Labels'. Put "
        "a pair whose title contains a comma in double quotes; an empty title leaves that column unread.",
        show_default=False,
        rich_help_panel=IMAGES,
    ),
]
Published = Annotated[
    str | None,
    typer.Option(
        "--published",
        metavar="<name|none>",
        help="Published set that the data are, or none. Default: recognised by its tables and file names; index shows "
        "which.",
        show_default=False,
        rich_help_panel=IMAGES,
        autocompletion=completion.published_sets,
    ),
]
Findings = Annotated[
    list[str] | None,
    typer.Option(
        "--findings",
        metavar="<name,...>",
        help="Columns of the table that hold one finding each (1 present, 0 absent, -1 uncertain, empty not stated), "
        "or names out of a list column or a published set. Default: those of list columns (Mass|Edema) and "
        "columns named like CheXpert's.",
        show_default=False,
        rich_help_panel=IMAGES,
    ),
]
KeepColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-columns",
        metavar="<name,...>",
        help="Other columns of the table to keep with the features: categories or numbers.",
        show_default=False,
        rich_help_panel=IMAGES,
    ),
]

Projecting = Annotated[
    Projection | None,
    typer.Option(
        "--projection",
        help="Projections to take. Default: frontal ones of DICOM files and published sets, all of your own table.",
        show_default=False,
        rich_help_panel=IMAGES,
    ),
]

_OPTIONS: Mapping[str, Any] = {
    "classes": Classes,
    "per_class": PerClass,
    "limit": Limit,
    "patient_regex": PatientRegex,
    "follow_links": FollowLinks,
    "masks": Masks,
    "metadata": Metadata,
    "column": Column,
    "published": Published,
    "projection": Projecting,
    "findings": Findings,
    "keep_columns": KeepColumns,
}
"""By the field of `Selection` that each gives."""

CHOOSING = ("classes", "per_class", "limit", "patient_regex")
"""Fields that say which images are taken, and whose they are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions(Group):
    """Options of a command that reads a folder: stands in `Annotated[Settings, ImageOptions(...)]`."""

    but: Collection[str] = ()
    """Fields of `Selection` that are not options of the command."""

    @property
    def names(self) -> list[str]:
        """The fields."""
        return [name for name in _OPTIONS if name not in self.but]

    def parameters(self) -> list[inspect.Parameter]:
        """The options as Typer has them."""
        return [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_OPTIONS[name])
            for name in self.names
        ]

    def collected(self, given: Mapping[str, Any]) -> Settings:
        """What was given, as `Selection` takes it.

        Raises:
            UsageError: If a list cannot be read.
        """
        found: Settings = {name: given[name] for name in self.names if given[name] is not None}
        for name, read in _READ.items():
            if name in found:
                found[name] = read(found[name])
        return found


AllImages = Annotated[Settings, ImageOptions()]
"""Of a command whose images are kept."""
Images = Annotated[Settings, ImageOptions(but=("keep_columns",))]
"""Of a command that chooses images."""
Reading = Annotated[Settings, ImageOptions(but=(*CHOOSING, "keep_columns"))]
"""Of a command that takes the images of a folder as they are."""


def selection(given: Settings, *, seed: int = 0, strict: bool = False, limit: int | None = None) -> Selection:
    """Which images are meant, and how their folder is read.

    Args:
        given: What the options of `ImageOptions` give.
        seed: Seed of the draw.
        strict: Whether losses are refused.
        limit: Of images of each class, where that is an option of the command itself.
    """
    from cxrfeat.image.row import Selection

    also: Settings = {} if limit is None else {"limit": limit}
    return Selection(**also, **given, seed=seed, strict=strict)


def columns(given: Sequence[str] | None) -> dict[str, str]:
    """The titles that `--column` gives, by our names.

    Args:
        given: The option's value each time it was given, in the way of a line of CSV.

    Raises:
        UsageError: If one is not a name and a title, or names one column twice.

    Example:
        >>> columns(['image=Image Index, "label=Size, or so"', "source="])
        {'image': 'Image Index', 'label': 'Size, or so', 'source': ''}
    """
    found: dict[str, str] = {}
    for text in given or ():
        for cell in _cells("--column", text, "--column 'image=Image Index,\"label=Size, or so\"'"):
            name, equals, title = cell.partition("=")
            if not equals or not name.strip():
                raise UsageError(f"--column is names and titles, as in --column image=filename; got {cell!r}.")
            if name.strip() in found:
                raise UsageError(f"--column names {name.strip()} twice; give it one title.")
            found[name.strip()] = title.strip()
    return found


def _cells(option: str, text: str, example: str) -> list[str]:
    """The values of an option that reads a line of CSV, without empty ones."""
    try:
        cells = [cell.strip() for row in csv.reader([text], skipinitialspace=True, strict=True) for cell in row]
    except csv.Error:
        raise UsageError(
            f"{option} {text!r} cannot be read: a name that holds a comma goes in double quotes as a whole, as in "
            f"{example}."
        ) from None
    return [cell for cell in cells if cell]


def class_names(given: Sequence[str] | None) -> tuple[str, ...]:
    """The names that `--classes` gives, each once, in the order given.

    Args:
        given: The option's value each time it was given, in the way of a line of CSV: commas between the names, and a
            name that holds a comma in double quotes. `None` is no such option.

    Returns:
        Empty where the option was not given, which means all classes.

    Raises:
        UsageError: If a quote is not closed, or the option was given and names no class.

    Example:
        >>> class_names(['NORMAL, "COVID, ARDS"', "FLU"])
        ('NORMAL', 'COVID, ARDS', 'FLU')
        >>> class_names(None)
        ()
    """
    names: dict[str, None] = {}
    for text in given or ():
        names |= dict.fromkeys(_cells("--classes", text, "--classes 'NORMAL,\"COVID, ARDS\"'"))
    if given and not names:
        raise UsageError("--classes names no class. Give names separated by commas, or leave it out for all.")
    return tuple(names)


def _names(option: str) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """What reads the names that an option gives, each once."""

    def read(given: Sequence[str]) -> tuple[str, ...]:
        found = dict.fromkeys(cell for text in given for cell in _cells(option, text, f"{option} 'A,\"B, or so\"'"))
        if not found:
            raise UsageError(f"{option} names nothing. Give names separated by commas, or leave it out.")
        return tuple(found)

    return read


_READ: Mapping[str, Callable[[Sequence[str]], Any]] = {
    "classes": class_names,
    "column": columns,
    "findings": _names("--findings"),
    "keep_columns": _names("--keep-columns"),
}
"""What makes a field of what was given."""

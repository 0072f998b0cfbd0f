"""Options that several commands share, spelled once."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrfeat.errors import AuditError, InputError, QuarantineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cxrfeat.image.row import Selection
    from cxrfeat.types import Finding

Data = Annotated[
    Path | None,
    typer.Argument(help="Folder of images. Default: $CXRFEAT_DATA, else ./data.", show_default=False),
]
FeaturesFile = Annotated[
    Path | None,
    typer.Argument(help="A feature file. Default: the only one in the features folder.", show_default=False),
]
Features = Annotated[Path, typer.Option("--features", help="Folder of the feature files.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of the runs.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of everything drawn by chance.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no hints.")]
Redact = Annotated[bool, typer.Option("--redact", help="Show salted ids in place of paths.")]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--classes",
        help="Take these classes only, commas between them; may be given again. A name that holds a comma stands in "
        "double quotes: --classes 'NORMAL,\"COVID, ARDS\"'.",
        show_default=False,
    ),
]
PerClass = Annotated[int | None, typer.Option("--per-class", help="Take exactly this many of each class.")]
Limit = Annotated[int | None, typer.Option("--limit", help="Take at most this many of each class.")]
PatientRegex = Annotated[
    str | None, typer.Option("--patient-regex", help="Pattern that takes the patient from a file's path.")
]

SplitBy = Annotated[
    str | None,
    typer.Option(
        "--split-by", "--split", help="group, date, column or paper. Default: the data's own column, else group."
    ),
]
Weights = Annotated[
    str, typer.Option("--weights", help="imagenet, the path of a weights file, or random (scores mean nothing).")
]
Preprocess = Annotated[
    str | None,
    typer.Option("--preprocess", help="What a Keras model of your own expects: tf, torch, caffe or none."),
]
Normalize = Annotated[
    str,
    typer.Option("--normalize", help="backbone (as its weights were trained), featurewise (training pixels) or none."),
]
Size = Annotated[
    int | None, typer.Option("--size", help="Height and width of the views in pixels. Default: the network's own.")
]
BorderCrop = Annotated[float, typer.Option("--border-crop", help="Fraction cut away at each side.")]
BorderDarken = Annotated[float, typer.Option("--border-darken", help="Fraction blackened at each side.")]
Mask = Annotated[
    str,
    typer.Option(
        "--mask",
        help="none; lungs blackens all but the lungs; outside blackens the lungs, to test what the rest tells.",
    ),
]
RemoveLetters = Annotated[
    bool, typer.Option("--remove-letters", help="Find letters burned in near the border, and fill them in.")
]
Zoom = Annotated[float, typer.Option("--zoom", help="Largest magnification of a drawn view.")]
Flip = Annotated[bool, typer.Option("--flip/--no-flip", help="Whether drawn views may be mirrored.")]
Tta = Annotated[bool, typer.Option("--tta", help="Validate and test by the mean over views.")]
MaxBad = Annotated[
    str | None,
    typer.Option("--max-bad", help="Unusable images allowed, N or P%. Default: up to 3, or 1%."),
]
Regroup = Annotated[bool, typer.Option("--regroup", help="Move patients that the data's own split tears to one side.")]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Exit code 8 when an audit check fails, or reading the data loses images, parts or patients."
    ),
]
StrictReading = Annotated[
    bool, typer.Option("--strict", help="Exit code 8 when reading the data loses images, parts or patients.")
]
FollowLinks = Annotated[
    list[Path] | None,
    typer.Option("--follow-links", help="A folder outside of the data into which links may lead; may be given again."),
]


def data_folder(data: Path | None) -> Path:
    """The data folder that is meant.

    Raises:
        InputError: If none was named, and the one looked for is not there.
    """
    if data is not None:
        return data
    named = os.environ.get("CXRFEAT_DATA")
    folder = Path(named or "data")
    if not folder.exists():
        raise InputError(
            f"$CXRFEAT_DATA names {named!r}, and there is no such folder. Set it to the folder of images, or unset it."
            if named
            else "There is no folder data here. Name the folder of images on the command line, or in $CXRFEAT_DATA."
        )
    return folder


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
        try:
            cells = [cell.strip() for row in csv.reader([text], skipinitialspace=True, strict=True) for cell in row]
        except csv.Error:
            raise UsageError(
                f"--classes {text!r} cannot be read: a name that holds a comma stands whole between double quotes, as "
                "in --classes 'NORMAL,\"COVID, ARDS\"'."
            ) from None
        names |= dict.fromkeys(cell for cell in cells if cell)
    if given and not names:
        raise UsageError("--classes names no class. Give names with commas between them, or leave it out for all.")
    return tuple(names)


def selection(
    classes: Sequence[str] | None = None,
    per_class: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    patient_regex: str | None = None,
    *,
    follow_links: Sequence[Path] | None = None,
    strict: bool = False,
) -> Selection:
    """Which images are meant, and how their folder is read."""
    from cxrfeat.image.row import Selection

    return Selection(
        classes=class_names(classes),
        per_class=per_class,
        limit=limit,
        seed=seed,
        patient_regex=patient_regex,
        follow_links=tuple(follow_links or ()),
        strict=strict,
    )


def too_many_bad(text: str | None, bad: int, total: int) -> bool:
    """Whether more images failed than allowed: by default more than 1 % and more than 3.

    Raises:
        UsageError: If the limit is not `N` or `P%`.
    """
    if text is None:
        return bad > 3 and bad > 0.01 * total
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%|(\d+)", text.strip())
    if match is None or (match[1] and float(match[1]) > 100):
        raise UsageError(f"--max-bad is a number of images (5) or a share of them (2%); got {text!r}.")
    return bad > (float(match[1]) / 100 * total if match[1] else int(match[2]))


def refuse_bad(text: str | None, bad: int, total: int, written: str) -> None:
    """What `--max-bad` makes of unusable images.

    Args:
        text: As `too_many_bad` takes it.
        bad: How many could not be used.
        total: Of how many.
        written: What was done all the same.

    Raises:
        QuarantineError: If they are more than allowed.
        UsageError: If the limit is not `N` or `P%`.
    """
    if too_many_bad(text, bad, total):
        raise QuarantineError(
            f"{bad} of {total} images could not be used; {written}. Replace or delete the bad files and run the same "
            "command again, or allow them with --max-bad."
        )


def refuse_failed(failed: Sequence[Finding], *, strict: bool, written: str = "The runs are written; mend") -> None:
    """What `--strict` makes of failed checks.

    Args:
        failed: The checks that failed.
        strict: Whether that is to be an error.
        written: What was done all the same, and the beginning of the advice.

    Raises:
        AuditError: If it is.
    """
    if strict and failed:
        names = ", ".join(finding.check for finding in failed)
        raise AuditError(f"The audit failed ({names}). {written} the data, or leave --strict out.")


def shown(path: str, *, redact: bool) -> str:
    """A path as it may be shown: itself, or its salted id."""
    if not redact:
        return path
    from cxrfeat.image.identity import Identity

    return Identity.load().image_id(path)


def shown_note(note: str, *, redact: bool) -> str:
    """A note as it may be shown: with its example of a path, or without."""
    from cxrfeat.image.note import without_examples

    return without_examples(note) if redact else note

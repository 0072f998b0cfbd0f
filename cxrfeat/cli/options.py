"""Options that several commands share, spelled once; those of descriptions are their fields."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cxrfeat import spec
from cxrfeat.cli import completion
from cxrfeat.cli.fields import Fields, Settings, help_of
from cxrfeat.cli.hiding import hidden
from cxrfeat.errors import AuditError, InputError, QuarantineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cxrfeat.system.cluster import ClusterSpec
    from cxrfeat.types import Finding

IMAGES, PIXELS, SPLIT, PLACES, OUTPUT = "Images", "Network and pixels", "Split and test", "Files", "Output"
CLUSTER = "Many machines"
"""Titles in `--help` of options that several commands share."""

RUN = typer.Argument(
    metavar="RUN",
    help="Name of a run, an unambiguous prefix of it, or its folder.",
    autocompletion=completion.runs,
)
"""Of the argument that names one run."""
Data = Annotated[
    Path | None,
    typer.Argument(metavar="DATA", help="Folder of images. Default: $CXRFEAT_DATA, else ./data.", show_default=False),
]
FeaturesFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="FEATURES.h5", help="A feature file. Default: the only one in the features folder.", show_default=False
    ),
]
RunNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUNS",
        help="Runs, each by name, unambiguous prefix or folder. Default: all.",
        show_default=False,
        autocompletion=completion.runs,
    ),
]
Features = Annotated[Path, typer.Option("--features", help="Folder of the feature files.", rich_help_panel=PLACES)]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of the runs.", rich_help_panel=PLACES)]
RunName = Annotated[str | None, typer.Option("--name", help="Name of the run.", rich_help_panel=PLACES)]
Network = Annotated[
    Path | None,
    typer.Option("--network", help="Where the network's file is, if it has moved.", rich_help_panel=PLACES),
]
Engine = Annotated[
    spec.EngineName,
    typer.Option(
        "--engine",
        help="What runs the network. On a CPU, openvino and onnx are faster; a network is converted for them once.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of everything random.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Number of fits to run in parallel. Default: as many as speed it up.")
]
Runner = Annotated[
    spec.Runner,
    typer.Option(
        "--runner",
        help="Where to compute: in this process, or on the workers of a Ray cluster.",
        rich_help_panel=CLUSTER,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="<host:port>",
        help="With --runner ray: address of a running cluster. Default: $RAY_ADDRESS, else a cluster started on this "
        "machine for this command, on loopback.",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help=(
            "With --runner ray: number of workers. Default: as many as the cluster's cores, or the GPUs they take, "
            "allow."
        ),
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress and no hints.", rich_help_panel=OUTPUT)]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Report what was chosen automatically, and why: engine, batch, workers.",
        rich_help_panel=OUTPUT,
    ),
]
Redact = Annotated[bool, typer.Option("--redact", help="Show salted ids in place of paths.", rich_help_panel=OUTPUT)]
MaxBad = Annotated[
    str | None,
    typer.Option(
        "--max-bad",
        metavar="<N|P%>",
        help="Unusable images to tolerate, as a number or a percentage. Default: 3 or 1%, whichever is more.",
        rich_help_panel=IMAGES,
    ),
]
SplitBy = Annotated[
    spec.SplitBy | None,
    typer.Option(
        "--split-by",
        "--split",
        help=f"{help_of(spec.SplitSpec, 'by')} Default: the data's own column, else group.",
        rich_help_panel=SPLIT,
    ),
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="<name>",
        help="What to predict: label, a finding, sex, view_position, source or a kept column of categories; age or a "
        "kept column of numbers; or findings, all of them in one table. Numbers and findings take ridge unless "
        "--head names others.",
        rich_help_panel=IMAGES,
    ),
]
Uncertain = Annotated[
    Literal["ignore", "present", "absent"],
    typer.Option("--uncertain", help="How to count uncertain findings.", rich_help_panel=IMAGES),
]
Folds = Annotated[
    int | None,
    typer.Option("--folds", help="Cross-validate in this many folds instead of one test part.", rich_help_panel=SPLIT),
]
Tta = Annotated[
    bool,
    typer.Option("--tta", help="Validate and test with predictions averaged over the views.", rich_help_panel=SPLIT),
]
Regroup = Annotated[
    bool,
    typer.Option(
        "--regroup",
        help="Move each patient whom the data's own split divides to one of its parts.",
        rich_help_panel=SPLIT,
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="<imagenet|path|random>",
        help="Where the weights come from. With random weights, scores mean nothing.",
        rich_help_panel=PIXELS,
        autocompletion=completion.weights,
    ),
]
Preprocess = Annotated[
    spec.Preprocess | None,
    typer.Option("--preprocess", help="Pixel scaling that your own network expects.", rich_help_panel=PIXELS),
]
Normalize = Annotated[
    spec.Normalize,
    typer.Option("--normalize", help=help_of(spec.FeatureSpec, "normalize"), rich_help_panel=PIXELS),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size", help=f"{help_of(spec.ViewSpec, 'size')} Default: the network's own.", rich_help_panel=PIXELS
    ),
]
NO_VIEWS = ("size", "seed", "masks", "border_only", "shuffle")
"""Fields of views that are other options, or known to the audit alone."""
Views = Annotated[Settings, Fields(spec=spec.ViewSpec, but=NO_VIEWS, panels={"count": "Views"})]
DrawnViews = Annotated[Settings, Fields(spec=spec.ViewSpec, but=("count", *NO_VIEWS), panels={"flip": "Views"})]

HEAD = Fields(
    spec=spec.HeadSpec,
    but=("kind", "seed"),
    panels={
        "views": "Every head",
        "epochs": f"Networks ({', '.join(spec.TRAINED_KINDS)})",
        "strength": "Other heads",
        "class_weights": "Every head",
    },
)
Head = Annotated[Settings, HEAD]
"""Of heads on features."""
_RECIPE = "Training (overrides the recipe)"
PROTOCOL = Fields(
    spec=spec.HeadSpec,
    but=(
        "kind", "seed", "views", "hidden", "dropout", "l2", "views_per_epoch", "standardize", "strength", "neighbours",
    ),
    panels={"kind": _RECIPE},
    recipe=True,
)  # fmt: skip
Protocol = Annotated[Settings, PROTOCOL]
"""Of a head that is trained together with its network."""
TRAINING = Fields(spec=spec.FinetuneSpec, but=("head", "precision"), panels={"head": _RECIPE}, recipe=True)
Training = Annotated[Settings, TRAINING]
"""Of the network."""

Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with code 8 if an audit check fails, or if reading the data loses images, parts or patients.",
        rich_help_panel=OUTPUT,
    ),
]
StrictReading = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with code 8 if reading the data loses images, parts or patients.",
        rich_help_panel=OUTPUT,
    ),
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


def pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """Names that an option sets equal, by the first of each two.

    Args:
        option: As it is typed.
        given: Its value each time it was given.

    Raises:
        UsageError: If one is not two names with an equals sign between them, or the first comes twice.

    Example:
        >>> pairs("--map", ["No Finding=NORMAL", "Viral Pneumonia = PNEUMONIA"])
        {'No Finding': 'NORMAL', 'Viral Pneumonia': 'PNEUMONIA'}
    """
    found: dict[str, str] = {}
    for text in given or ():
        first, equals, second = (part.strip() for part in text.rpartition("="))
        first, second = (first, second) if equals else ("", "")
        if not first or not second:
            raise UsageError(f"{option} is two names, as in {option} 'No Finding=NORMAL'; got {text!r}.")
        if found.setdefault(first, second) != second:
            raise UsageError(f"{option} names {first} twice; give it one name.")
    return found


def cluster(runner: str, address: str | None, workers: int | None, gpus_per_worker: float = 0.0) -> ClusterSpec | None:
    """The cluster that is meant; `None` for this process.

    Raises:
        UsageError: If there is something to say of a cluster, and none is meant.
    """
    from cxrfeat.system.cluster import ClusterSpec

    if runner == "ray":
        return ClusterSpec(address=address, workers=workers, gpus_per_worker=gpus_per_worker)
    if address is not None or workers is not None or gpus_per_worker:
        given = {"--address": address, "--workers": workers, "--gpus-per-worker": gpus_per_worker}
        named = next(name for name, value in given.items() if value)
        raise UsageError(f"{named} is of a cluster: add --runner ray.")
    return None


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


def refuse_failed(failed: Sequence[Finding], *, strict: bool, written: str = "The runs are written; correct") -> None:
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
        raise AuditError(f"The audit failed ({names}). {written} the data, or omit --strict.")


def shown(path: str, *, redact: bool) -> str:
    """A path as it may be shown: itself, or its salted id."""
    if not redact:
        return path
    from cxrfeat.image.identity import Identity

    return Identity.load().image_id(path)


def shown_note(note: str, *, redact: bool) -> str:
    """A note as it may be shown: as it is, or with what it names hidden."""
    return hidden(note) if redact else note

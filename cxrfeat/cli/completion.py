"""What a shell offers for values without fixed choices: networks and runs, as cheaply as they can be known."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import typer

from cxrfeat.spec import NamedWeights


def runs(context: typer.Context) -> list[str]:
    """Names of the runs in the folder that the command line names so far."""
    from cxrfeat.run.folder import all_runs

    return [path.name for path in all_runs(Path(context.params.get("runs") or "runs"))]


def backbones() -> list[str]:
    """Names of the table; a path is completed by the shell itself."""
    from cxrfeat.backbone.table import TABLE

    return list(TABLE)


def backbones_and_runs(context: typer.Context) -> list[str]:
    """What `extract` takes: fine-tuned networks too."""
    return [*backbones(), *runs(context)]


def trainable_backbones() -> list[str]:
    """What `finetune` takes: the network that begins with nothing too."""
    from cxrfeat.backbone.scratch import SCRATCH

    return [*backbones(), SCRATCH]


def weights() -> list[str]:
    """Words that are not paths."""
    return list(get_args(NamedWeights))


def published_sets() -> list[str]:
    """Names of the sets that are recognised, and the word for none."""
    from cxrfeat.image.published.recognise import NONE
    from cxrfeat.image.published.table import SETS

    return [*(one.name for one in SETS), NONE]


def cuts(incomplete: str) -> list[str]:
    """Columns that make subgroups, after those that are there already; where a number is cut is the user's."""
    from cxrfeat.feature.column import COLUMNS

    before, comma, _ = incomplete.rpartition(",")
    return [f"{before}{comma}{column}" for column in COLUMNS]

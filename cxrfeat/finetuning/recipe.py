"""Named ways to train a network and its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from cxrfeat.backbone.quiet import has_gpu
from cxrfeat.backbone.scratch import SCRATCH as FROM_SCRATCH
from cxrfeat.errors import UsageError
from cxrfeat.spec import AskedPrecision, FinetuneSpec, HeadSpec, Recipe, TrainingPrecision

PAPER = FinetuneSpec(head=HeadSpec(kind="dropout"), clip=None, batchnorm="trained")
"""The paper's: the protocol of its heads, everything trainable, from a head that knows nothing; the last epoch is kept.
It destroyed VGG16 (test accuracy 0.3388). Source: the paper, rows "V3" and "-FT" (`docs/paper.md`)."""

DEFAULT = FinetuneSpec(
    head=HeadSpec(
        kind="softmax", epochs=20, optimizer="adam", learning_rate=1e-5, schedule="cosine", patience=8, calibrate=True
    )
)
"""From a warm head: short steps that get shorter, batch normalisation as it was, no gradient longer than 1, and the
epoch whose probabilities are best once they are calibrated.

Frozen normalisation magnifies what a step does: three steps of Adam at 1e-5 moved the features of a MobileNet by a
fifth of their deviations (120 real images), and an epoch at 1e-4 took its validation accuracy from 0.84 to 0.63."""

SCRATCH = FinetuneSpec(
    head=HeadSpec(kind="softmax", epochs=40, optimizer="adam", learning_rate=1e-3, schedule="cosine", patience=10),
    batchnorm="trained",
)
"""From nothing: longer steps, more epochs, and batches normalised by what they hold."""


def find_recipe(
    name: str,
    backbone: str | None = None,
    *,
    head: Mapping[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401  # fields of the specs
) -> tuple[FinetuneSpec, bool]:
    """A recipe with some of it changed.

    Args:
        name: Name of the recipe.
        backbone: What is to be trained: one that starts from nothing has a default recipe of its own.
        head: Fields of `HeadSpec` by name; others are the recipe's.
        changes: Fields of `FinetuneSpec` likewise.

    Returns:
        The protocol, and whether it begins with a head that knows nothing.

    Raises:
        UsageError: If there is no such recipe, or a value is out of range.

    Example:
        >>> spec, cold = find_recipe("paper", head={"epochs": 1})
        >>> spec.head.epochs, spec.head.learning_rate, cold
        (1, 0.01, True)
    """
    if name not in get_args(Recipe):
        raise UsageError(f"There is no recipe {name!r}; the recipes are {', '.join(get_args(Recipe))}.")
    scratch = backbone == FROM_SCRATCH
    recipe = PAPER if name == "paper" else SCRATCH if scratch else DEFAULT
    return replace(recipe, head=replace(recipe.head, **(head or {})), **changes), recipe is not DEFAULT


def automatic_precision(asked: AskedPrecision) -> TrainingPrecision:
    """The arithmetic that `auto` means on this machine: half precision on a GPU."""
    if asked != "auto":
        return asked
    return "float16" if has_gpu() else "float32"

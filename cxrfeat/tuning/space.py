"""The only place that says what `cxrfeat tune` varies, and between which bounds.

Bounds are plausible for 200 to 23,000 rows of 512 to 2048 features. Each kind's default configuration is always tried;
kinds that a path fits at every strength at once are swept, the others are drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from cxrfeat.head.network_head import KINDS as NETWORK_KINDS
from cxrfeat.head.number import NUMBER_KINDS
from cxrfeat.head.regularization_path import STRENGTHS
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.spec import MAIN_KINDS, HeadKind, HeadSpec, Optimizer

REVISION = 2
"""Raise when the same seed comes to mean other configurations, or scores other things."""

TUNED: tuple[HeadKind, ...] = (*MAIN_KINDS, "ridge")
"""Kinds searched where the user names none: the six, and ridge, whose sweep costs next to nothing."""

TUNED_NUMBER = NUMBER_KINDS
"""Likewise of a number."""

SWEPT: tuple[HeadKind, ...] = ("logreg", "ridge")
"""Kinds with a path over all strengths."""

HIDDEN = ("500,200", "256", "256,64", "1024")
"""Few, because each other shape is compiled anew. The first is the default."""
RATES: dict[Optimizer, tuple[float, float]] = {"sgd": (1e-3, 0.1), "adam": (1e-4, 3e-3)}
C: dict[HeadKind, tuple[float, float]] = {"svm-linear": (1e-5, 1.0), "svm-rbf": (0.03, 300.0)}
"""Lowest and highest strength drawn."""
NEIGHBOURS = (1, 50)

T = TypeVar("T", str, int, float, bool)


class Choose(Protocol):
    """Whatever picks values: chance, or a sampler that learns from what it has seen."""

    def one_of(self, name: str, options: Sequence[T]) -> T:
        """One of several values."""

    def between(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number within bounds, evenly or on a scale of factors."""


@dataclass(frozen=True, slots=True)
class Chance:
    """Picks blindly."""

    rng: np.random.Generator

    def one_of(self, name: str, options: Sequence[T]) -> T:
        """Each with the same probability."""
        return options[int(self.rng.integers(len(options)))]

    def between(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Uniform, or uniform in the logarithm."""
        if log:
            return math.exp(self.rng.uniform(math.log(low), math.log(high)))
        return float(self.rng.uniform(low, high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One kind at every strength of its path."""

    kind: HeadKind
    views: int | None
    seed: int

    @property
    def specs(self) -> list[HeadSpec]:
        """The heads, in the order of `STRENGTHS`; the kind's own strength is the default, so it is left open."""
        return [
            HeadSpec(
                kind=self.kind,
                views=self.views,
                strength=None if strength == STRENGTH[self.kind] else strength,
                seed=self.seed,
            )
            for strength in STRENGTHS
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All heads that may be tried.

    Example:
        >>> space = Space(kinds=("logreg", "svm-rbf"), views=1)
        >>> [spec.kind for spec in space.draws(3)]
        ['svm-rbf', 'svm-rbf', 'svm-rbf']
        >>> space.draws(3) == space.draws(5)[:3]
        True
    """

    kinds: tuple[HeadKind, ...]
    views: int
    """Cached views of each image."""
    seed: int = 0
    """Of the draws, and of every head."""
    numeric: bool = False
    """Whether heads predict a number, so that what their descriptions say of classes is not varied."""

    @property
    def drawn(self) -> tuple[HeadKind, ...]:
        """The kinds without a path."""
        return tuple(kind for kind in self.kinds if kind not in SWEPT)

    @property
    def defaults(self) -> list[HeadSpec]:
        """Each drawn kind as `fit-head` has it; those of the swept kinds are part of their sweeps."""
        return [self.default(kind) for kind in self.drawn]

    @property
    def sweeps(self) -> list[Sweep]:
        """Every path with all views, and with the plain one alone."""
        counts = [None, 1] if self.views > 1 else [None]
        return [
            Sweep(kind=kind, views=count, seed=self.seed) for kind in self.kinds if kind in SWEPT for count in counts
        ]

    def default(self, kind: HeadKind) -> HeadSpec:
        """A kind as `fit-head` has it."""
        return HeadSpec(kind=kind, seed=self.seed)

    def draws(self, count: int) -> list[HeadSpec]:
        """Different configurations by chance, the kinds taking turns; fewer draws are the first of more.

        There may be fewer than asked for where a kind has little to vary.
        """
        found = dict.fromkeys(self.defaults)
        for index in range(count if self.drawn else 0):
            kind = self.drawn[index % len(self.drawn)]
            for attempt in range(20):
                spec = self.configuration(kind, Chance(np.random.default_rng([self.seed, index, attempt])))
                if spec not in found:
                    found[spec] = None
                    break
        return list(found)[len(self.defaults) :]

    def configuration(self, kind: HeadKind, choose: Choose) -> HeadSpec:
        """A drawn kind with everything chosen that it has to choose."""

        def name(field: str) -> str:
            return f"{kind}.{field}"  # kinds share no statistics: a good rate of one says nothing of another's

        fields: dict[str, Any] = {}
        if self.views > 1:
            some = sorted({1, round(self.views**0.5), self.views})
            count = choose.one_of(name("views"), some)
            fields["views"] = None if count == self.views else count
        if kind in C:
            fields["strength"] = _rounded(choose.between(name("strength"), *C[kind], log=True))
        if kind == "knn":
            fields["neighbours"] = round(choose.between(name("neighbours"), *NEIGHBOURS, log=True))
        if kind in NETWORK_KINDS:
            fields["optimizer"] = optimizer = cast(Optimizer, choose.one_of(name("optimizer"), tuple(RATES)))
            low, high = RATES[optimizer]
            fields["learning_rate"] = _rounded(choose.between(name(f"learning_rate.{optimizer}"), low, high, log=True))
            fields["l2"] = _rounded(choose.between(name("l2"), 1e-7, 1e-2, log=True))
            if not self.numeric:
                fields["label_smoothing"] = choose.one_of(name("label_smoothing"), (0.0, 0.05, 0.1))
            fields["standardize"] = choose.one_of(name("standardize"), (False, True))
        if kind in ("dense", "dropout"):
            hidden = choose.one_of(name("hidden"), HIDDEN)
            fields["hidden"] = None if hidden == HIDDEN[0] else tuple(int(units) for units in hidden.split(","))
        if kind == "dropout":
            fields["dropout"] = round(choose.between(name("dropout"), 0.2, 0.7), 2)
        return HeadSpec(kind=kind, seed=self.seed, **fields)


def differing(spec: HeadSpec) -> dict[str, Any]:
    """The fields in which a head differs from its kind's default, in JSON's own types.

    Example:
        >>> differing(HeadSpec(kind="dense", hidden=(256, 64), seed=7))
        {'hidden': [256, 64]}
    """
    default = HeadSpec(kind=spec.kind, seed=spec.seed)
    found = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if value != getattr(default, field.name):
            found[field.name] = list(value) if isinstance(value, tuple) else value
    return found


def _rounded(value: float) -> float:
    """Three digits: as good, and it can be typed."""
    return float(f"{value:.3g}")

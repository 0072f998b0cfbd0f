"""What a reader must know first: whether to believe the scores, and the one number that is honest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cxrfeat.auditing.short import check_tested
from cxrfeat.auditing.source import WITHIN, check_within
from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.reporting.difference import standing_of
from cxrfeat.reporting.table import in_words, number
from cxrfeat.run.document import Evaluation
from cxrfeat.run.folder import Run
from cxrfeat.types import Finding, Status, failed_first


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the audit comes to."""

    status: str
    """`fail`, `warn` or `pass`."""
    headline: str
    why: str
    reasons: tuple[str, ...] = ()
    """Why the worst checks say so; some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The best honest number there is, or that there is none."""

    label: str
    value: str | None
    interval: str | None
    notes: tuple[str, ...]
    against: str | None = None
    """What takes no network, where there is something to hold the number against."""
    sentence: str = ""
    """What comes of the two, as large as the numbers."""


def verdict(findings: Sequence[Mapping[str, Any]], *, random: bool, test: Evaluation | None = None) -> Verdict:
    """The audit in a sentence.

    Args:
        findings: As in the JSON documents.
        random: Whether a network has random weights.
        test: Scores of the run whose number stands beside: where that is no better within a source than naming the
            commonest class, the headline says so.

    Example:
        >>> verdict([{"check": "split", "status": "fail", "why": "It leaks."}], random=False).headline
        'A check failed: split.'
    """
    failed, warned = (_named(findings, status) for status in ("fail", "warn"))
    if random:
        besides = f" Besides, these checks failed: {', '.join(failed)}." if failed else ""
        return Verdict(
            status="fail",
            headline="RANDOM WEIGHTS: these scores mean nothing.",
            why="The network was never trained. What follows shows how the page looks, and nothing about any disease."
            + besides,
        )
    if failed:
        many = "A check failed" if len(failed) == 1 else f"{len(failed)} checks failed"
        listed, why = f"{many}: {', '.join(failed)}.", "The scores may measure something other than the disease."
        beaten = [] if test is None else [one for one in check_within(test.within_source) if one.status is Status.FAIL]
        return Verdict(
            status="fail",
            headline=f"{beaten[0].why.partition(':')[0]}." if beaten else listed,
            why=f"{listed} {why} Correct this first." if beaten else f"{why} Correct this first.",
            reasons=_reasons(findings, "fail"),
        )
    if warned:
        many = "one warning" if len(warned) == 1 else f"{len(warned)} warnings"
        return Verdict(
            status="warn",
            headline=f"No check failed; {many}: {', '.join(warned)}.",
            why="Read them before you believe the scores.",
            reasons=_reasons(findings, "warn"),
        )
    if not findings:
        return Verdict(
            status="warn",
            headline="No check was made.",
            why="Nothing is known of whether the scores measure the disease. Run `cxrfeat audit`, or fit the head "
            "again.",
        )
    return Verdict(
        status="pass",
        headline="Every check passed.",
        why="That is no proof: a high score can still rest on something nobody thought of.",
    )


REASONS = 3
"""Findings that the verdict states in full."""


def _reasons(findings: Sequence[Mapping[str, Any]], status: str) -> tuple[str, ...]:
    return tuple(str(one["why"]) for one in findings if one["status"] == status)[:REASONS]


def worst_findings(
    audits: Sequence[Sequence[Mapping[str, Any]]], heats: Sequence[Sequence[Mapping[str, Any]]] = ()
) -> list[dict[str, Any]]:
    """Each check once, as it came out for the run it is worst for, failed ones first.

    Args:
        audits: The findings of each run.
        heats: Those on the heat of each run that has heat maps.

    Returns:
        Findings, with `of`: how many of the runs they hold for, where not for all alike.

    Example:
        >>> leaky = {"check": "split", "status": "fail", "value": 2, "why": "Leaky.", "do": "Correct it."}
        >>> worst_findings([[leaky], [{**leaky, "status": "pass", "why": "Whole."}]])[0]["of"]
        '(1 of 2 runs)'
    """
    order = ["fail", "warn", "pass"]
    told = [*_worst(audits, order), *_worst(heats, order)]
    return sorted(told, key=lambda one: order.index(one["status"]))


def _worst(audits: Sequence[Sequence[Mapping[str, Any]]], order: Sequence[str]) -> list[dict[str, Any]]:
    by_check: dict[str, list[Mapping[str, Any]]] = {}
    for one in (one for audit in audits for one in audit):
        by_check.setdefault(str(one["check"]), []).append(one)
    told = []
    for found in by_check.values():
        worst = min(found, key=lambda one: (order.index(one["status"]), _goodness(one)))
        alike = sum(one["status"] == worst["status"] for one in found)
        varied = len({one["why"] for one in found}) > 1
        of = f"({alike} of {len(audits)} runs{'; here is the worst' if alike > 1 else ''})" if varied else ""
        told.append({**worst, "of": of})
    return told


def with_tested(findings: Iterable[Finding], runs: Sequence[Run]) -> tuple[Finding, ...]:
    """The short audit, and what the runs' own tests say, each check as it came out for the run it is worst for."""
    own = worst_findings([[asdict(one) for one in check_tested(run.document.test)] for run in runs])
    told = []
    for one in own:
        of, status = one.pop("of"), Status(one["status"])
        told.append(Finding(**one | {"status": status, "why": f"{one['why']} {of}".rstrip()}))
    named = {one.check for one in told}
    return tuple(failed_first([*(one for one in findings if one.check not in named), *told]))


SMALLER_IS_WORSE = frozenset({"heat in lungs", "agreement of views", WITHIN})
"""Checks of whose values the smaller is the worse; of all others it is the larger: heat outside, copies, a ratio."""


def _goodness(finding: Mapping[str, Any]) -> float:
    """Least for the worst of one status; a check without a value is the least bad."""
    value = finding.get("value")
    if value is None:
        return math.inf
    return float(value) if finding["check"] in SMALLER_IS_WORSE else -float(value)


def _named(findings: Sequence[Mapping[str, Any]], status: str) -> list[str]:
    return list(dict.fromkeys(str(one["check"]) for one in findings if one["status"] == status))


def honest_figure(test: Evaluation) -> Figure:
    """The score that the hospital is least help with.

    Args:
        test: Scores of a run.
    """
    overall = f"Accuracy over all {test.images} test images of {test.groups} patients or groups: " + (
        f"{in_words(test.accuracy, test.accuracy_ci)}."
    )
    within = test.within_source
    if not within.known:
        return Figure(
            label="balanced accuracy",
            value=number(test.balanced_accuracy),
            interval=_interval(test.balanced_accuracy_ci),
            notes=(overall, "The data name no source, so nobody can say how much of it is the hospital's."),
        )
    apart = [" and ".join(pair.classes) for pair in within.pairs if pair.known and not pair.identifiable]
    unsaid = f"{_listed(apart)} share no source, so no number separates them from their hospitals." if apart else ""
    gap = within.unknown / (within.known + within.unknown)
    unknown = f"The source of {100 * gap:.1f} % of the test images is unknown; they are left out of it." if gap else ""
    if not within.images or within.accuracy is None:
        return Figure(
            label="no honest number",
            value=None,
            interval=None,
            notes=(
                "No source holds test images of two classes, so a score cannot separate the disease from the hospital.",
                overall,
            ),
        )
    sources = "1 source that holds" if within.sources == 1 else f"{within.sources} sources that hold"
    (checked,) = check_within(within)
    return Figure(
        label="accuracy within one source",
        value=number(within.accuracy),
        interval=_interval(within.accuracy_ci),
        notes=tuple(
            note
            for note in (
                f"Over {within.images} test images of {sources} several classes.",
                overall,
                unsaid,
                unknown,
            )
            if note
        ),
        against=number(within.chance),
        sentence=f"{checked.why.partition(':')[0]}.",
    )


def _interval(ends: Sequence[float] | None) -> str:
    return f"cannot be judged: {NO_INTERVAL}" if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> _listed(["A and B", "C and D"])
        'A and B; and C and D'
    """
    return names[0] if len(names) == 1 else "; ".join(names[:-1]) + f"; and {names[-1]}"


def standing(comparison: Mapping[str, Any]) -> str:
    """How sure it is that the first run is the best, in a sentence; empty with one run.

    Args:
        comparison: The document of `compare`.

    Example:
        >>> standing({"runs": [1, 2], "comparisons": [{"b": "x", "ci": [-0.1, 0.2], "tied": True}]})
        'Best of 2 runs by accuracy, tied with 1 of them. The best of several looks better than it is, by chance.'
    """
    others = comparison["comparisons"]
    if not others:
        return ""
    unsaid = [one for one in others if standing_of(one) not in ("tied", "different")]
    tied, apart = sum(standing_of(one) == "tied" for one in others), len(unsaid)
    ties = f"tied with {tied} of them" if tied else "" if apart == len(others) else "tied with none"
    loose = f"{apart} cannot be compared" if apart else ""
    told = "; ".join(part for part in (ties, loose) if part)
    best = f"Best of {len(comparison['runs'])} runs by accuracy, {told}."
    return f"{best} The best of several looks better than it is, by chance."

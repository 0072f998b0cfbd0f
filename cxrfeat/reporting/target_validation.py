"""How runs of a number, or of all findings, do on other data sets, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, with_interval
from cxrfeat.reporting.validation import Drawing, drawn_interval, gap_verdict

_ERRORS = (("mean absolute error", "mae"), ("root mean squared error", "rmse"), ("R2", "r2"))
_RATES = (
    ("prevalence", "prevalence"),
    ("AUROC", "auroc"),
    ("AUPRC", "auprc"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
)


def target_forest_table(validations: Sequence[Mapping[str, Any]], run: str, drawing: Drawing | None = None) -> Table:
    """The run's own test, and below it one line for each data set.

    Args:
        validations: Documents of `validate`, as of one data set: of one run, of a number or of all findings.
        run: Its name.
        drawing: What draws an interval of an AUROC; a line of characters unless given.
    """
    numeric = validations[0]["kind"] == "number"
    told = _numbers(validations) if numeric else _means(validations, drawing or drawn_interval)
    what = str(validations[0]["target"]) if numeric else "findings"
    title = f"{run} at home and elsewhere: {what}, 95 % intervals over patients or groups"
    if any(one.get("random_weights") for one in validations):
        title += f"\n{RANDOM_WEIGHTS}"
    return Table(title=title, columns=told.columns, rows=told.rows, numeric=told.numeric)


def _numbers(validations: Sequence[Mapping[str, Any]]) -> Table:
    lines = [("own test", validations[0]["internal"], "")]
    lines += [
        (str(one["dataset"]), one["external"], with_interval(one["gap"]["mae"], one["gap"]["mae_ci"]))
        for one in validations
    ]
    rows = tuple(
        (
            name,
            str(scores["images"]),
            str(scores["groups"]),
            *(with_interval(scores[key], scores[f"{key}_ci"]) for _, key in _ERRORS),
            gap,
        )
        for name, scores, gap in lines
    )
    columns = ("images of", "images", "groups", *(title for title, _ in _ERRORS), "gap of the mean absolute error")
    return Table(title="", columns=columns, rows=rows, numeric=frozenset({1, 2}))


def _means(validations: Sequence[Mapping[str, Any]], drawing: Drawing) -> Table:
    lines: list[tuple[str, int, Mapping[str, Any], str]] = []
    for one in validations:
        names = ", ".join(of["name"] for of in one["findings"])
        own = f"own test ({names})"
        if own not in [name for name, *_ in lines]:
            lines.append((own, len(one["findings"]), one["internal"], ""))
    if len(lines) == 1:
        lines = [("own test", *lines[0][1:])]
    lines += [
        (str(one["dataset"]), len(one["findings"]), one["external"],
         with_interval(one["gap"]["auroc"], one["gap"]["auroc_ci"]))
        for one in validations
    ]  # fmt: skip
    low = min(0.5, *(end for _, _, of, _ in lines for end in (of["auroc_ci"] or [of["auroc"]])))
    rows = tuple(
        (
            name,
            str(count),
            with_interval(of["auroc"], of["auroc_ci"]),
            drawing(of["auroc"], of["auroc_ci"], low),
            with_interval(of["auprc"], of["auprc_ci"]),
            gap,
        )
        for name, count, of, gap in lines
    )
    columns = ("images of", "findings", "mean AUROC", f"AUROC from {low:.2f} to 1", "mean AUPRC", "gap of the AUROC")
    return Table(title="", columns=columns, rows=rows, numeric=frozenset({1}))


def target_details(one: Mapping[str, Any]) -> list[Table]:
    """Everything else that is told of one data set, table by table."""
    numeric = one["kind"] == "number"
    return [*(_of_number(one) if numeric else _of_findings(one)), _differing(one)]


def _of_number(one: Mapping[str, Any]) -> list[Table]:
    home, away, gap, name = one["internal"], one["external"], one["gap"], one["dataset"]
    rows = tuple(
        (
            title,
            with_interval(home[key], home[f"{key}_ci"]),
            with_interval(away[key], away[f"{key}_ci"]),
            with_interval(gap[key], gap[f"{key}_ci"]),
            gap_verdict(gap[f"{key}_ci"]),
        )
        for title, key in _ERRORS
    )
    line = one["calibration"]
    tenths = tuple(
        (str(of["images"]), f"{of['predicted']:.3f}", with_interval(of["true"], of["true_ci"])) for of in away["tenths"]
    )
    return [
        Table(
            title=f"The gap: {name} less the run's own test, 95 % intervals of independent samples",
            columns=("score", "own test", name, "gap", "verdict"),
            rows=rows,
        ),
        Table(
            title=f"Predicted {one['target']} on {name} (right: slope 1, bias 0; a slope below 1: predictions spread "
            "too far; a bias above 0: they are too high)",
            columns=("", "value"),
            rows=(
                ("slope", with_interval(line["slope"], line["slope_ci"])),
                ("bias: predicted less true, mean", with_interval(line["bias"], line["bias_ci"])),
            ),
        ),
        Table(
            title=f"{name}, from the least predicted tenth to the largest",
            columns=("images", "predicted, mean", "true, mean"),
            rows=tenths,
            numeric=frozenset({0, 1}),
        ),
    ]


def _of_findings(one: Mapping[str, Any]) -> list[Table]:
    name = one["dataset"]
    rows = []
    for of in (*one["findings"], {**one, "name": f"mean of {len(one['findings'])}"}):
        home, away, gap = of["internal"], of["external"], of["gap"]
        for place, (title, key) in enumerate(_RATES):
            rows.append(
                (
                    "" if place else of["name"],
                    title,
                    with_interval(home[key], home[f"{key}_ci"]),
                    with_interval(away[key], away[f"{key}_ci"]),
                    with_interval(gap[key], gap[f"{key}_ci"]),
                    gap_verdict(gap[f"{key}_ci"]),
                )
            )
    lines = tuple(
        (
            of["name"],
            str(of["external"]["images"]),
            str(of["external"]["groups"]),
            with_interval(of["calibration"]["slope"], of["calibration"]["slope_ci"]),
            with_interval(of["calibration"]["intercept"], of["calibration"]["intercept_ci"]),
        )
        for of in one["findings"]
    )
    return [
        Table(
            title=f"The gap: {name} less the run's own test, 95 % intervals of independent samples; called from the "
            "run's own thresholds on",
            columns=("finding", "score", "own test", name, "gap", "verdict"),
            rows=tuple(rows),
        ),
        Table(
            title=f"Probabilities on {name} (right: slope 1, intercept 0; a slope below 1: too sure; an intercept "
            "above 0: the finding is more frequent than they say)",
            columns=("finding", "images", "groups", "slope", "intercept"),
            rows=lines,
            numeric=frozenset({1, 2}),
        ),
    ]


def _differing(one: Mapping[str, Any]) -> Table:
    unlike, apart = one["out_of_distribution"], one["apart"]
    at_home = (
        f"own test {with_interval(unlike['at_home'], unlike['at_home_ci'])}"
        if unlike["at_home"] is not None
        else "0.010 of the training images"
    )
    rows = [("share unlike the training images", with_interval(unlike["share"], unlike["share_ci"]), at_home)]
    if apart is not None:
        rows.append(
            (
                "told from the run's own by features (AUROC)",
                with_interval(apart["auroc"], apart["auroc_ci"]),
                f"chance 0.5; {apart['images'][0]} own and {apart['images'][1]} other images",
            )
        )
    return Table(
        title=f"How the images of {one['dataset']} differ", columns=("what", "value", "next to it"), rows=tuple(rows)
    )

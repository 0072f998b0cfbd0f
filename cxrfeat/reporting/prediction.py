"""What a run says of single images: as a table, as lines of a CSV, as counts; and how far its answers hold."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cxrfeat.head.prediction import AnyPrediction, NumberPrediction, Prediction, Rules
from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, in_words, number
from cxrfeat.run.document import RunDocument
from cxrfeat.run.target_document import FindingsDocument, NumberDocument

UNLIKE = "unlike the training images"


def prediction_table(document: Mapping[str, Any]) -> Table:
    """One line per image: the class, every class's probability, and a warning where the image is unlike the others.

    Of a number its value stands in place of these, of findings the probability of each and which are called.
    """
    predictions = document["predictions"]
    if "target" in document:
        return _target_table(document)
    names = list(predictions[0]["probabilities"])
    sets, calls = "conformal" in document, "threshold" in document
    rows = tuple(
        (
            one["image"],
            one["label"],
            *(number(one["probabilities"][name]) for name in names),
            *([one["answer"]] if sets else []),
            *([_called(one)] if calls else []),
            UNLIKE if one["out_of_distribution"] else "",
        )
        for one in predictions
    )
    more = [
        *([f"holds it {document['conformal']['asked']:.0%}"] if sets else []),
        *([f"called at {document['threshold']['name']}"] if calls else []),
    ]
    columns = ("image", "class", *names, *more, "")
    return Table(title=_title(document), columns=columns, rows=rows, numeric=frozenset(range(2, 2 + len(names))))


def _target_table(document: Mapping[str, Any]) -> Table:
    predictions = document["predictions"]
    if "value" in predictions[0]:
        columns: tuple[str, ...] = ("image", document["target"], "")
        rows = tuple(
            (one["image"], number(one["value"], 1), UNLIKE if one["out_of_distribution"] else "") for one in predictions
        )
        return Table(title=_title(document), columns=columns, rows=rows, numeric=frozenset({1}))
    names = list(predictions[0]["probabilities"])
    columns = ("image", *names, "called", "")
    rows = tuple(
        (
            one["image"],
            *(number(one["probabilities"][name]) for name in names),
            _called(one),
            UNLIKE if one["out_of_distribution"] else "",
        )
        for one in predictions
    )
    return Table(title=_title(document), columns=columns, rows=rows, numeric=frozenset(range(1, 1 + len(names))))


def _title(document: Mapping[str, Any]) -> str:
    title = f"Predictions of {document['run']}"
    return f"{title}\n{RANDOM_WEIGHTS}" if document["random_weights"] else title


def _called(one: Mapping[str, Any]) -> str:
    return ", ".join(name for name, called in one["called"].items() if called) or "none"


@dataclass(slots=True)
class Tally:
    """What came of many images, counted as they come."""

    images: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    values: list[float] = field(default_factory=lambda: [0.0, math.inf, -math.inf])
    """Of numbers the sum, the least and the largest."""
    unlike: int = 0

    def add(self, one: AnyPrediction) -> None:
        """Count an image."""
        self.images += 1
        self.unlike += one.out_of_distribution
        if isinstance(one, NumberPrediction):
            total, least, most = self.values
            self.values = [total + one.value, min(least, one.value), max(most, one.value)]
            return
        if isinstance(one, Prediction):
            self.labels[one.label] += 1
            if one.answer is not None:
                self.answers[one.answer] += 1
        self.calls.update(name for name, called in (one.called or {}).items() if called)


def tally_table(tally: Tally, document: Mapping[str, Any]) -> Table:
    """How many images were said to be what."""
    told = [("class", name, count) for name, count in tally.labels.most_common()]
    told += [("set of classes", name, count) for name, count in tally.answers.most_common()]
    told += [("called", name, count) for name, count in tally.calls.most_common()]
    told += [(UNLIKE, "", tally.unlike)]
    rows = tuple((what, name, str(count), f"{count / max(1, tally.images):.1%}") for what, name, count in told)
    title = f"{_title(document)}: {tally.images} images"
    total, least, most = tally.values
    if least <= most:
        mean = number(total / tally.images, 1)
        title += f", {document['target']} from {number(least, 1)} to {number(most, 1)}, {mean} on average"
    return Table(title=title, columns=("", "", "images", "share"), rows=rows, numeric=frozenset({2, 3}))


def rules_lines(document: Mapping[str, Any]) -> list[str]:
    """How often what stands beside the classes was right on the run's own test, in sentences.

    Args:
        document: Of `predict`.
    """
    alarms = document["false_alarms"]
    lines = []
    if alarms["test"] is None:
        lines.append(
            f"'{UNLIKE}' is said of {alarms['training']:.1%} of these themselves; of new ones of their kind, of more. "
            "Fit the run again under another name to have that measured."
        )
    else:
        share = in_words(alarms["test"], alarms["test_ci"])
        lines.append(f"'{UNLIKE}' is a false alarm for a share of {share} of images like the run's own test.")
    if sets := document.get("conformal"):
        test = sets["on_test"]
        lines.append(
            f"Sets of classes hold the true one of {sets['asked']:.0%} of new patients, for each class by itself. On "
            f"the run's own test they held it in {in_words(test['coverage'], test['coverage_ci'])}: {test['size']:.2f} "
            f"classes on average, one in {test['single']:.0%} of sets, all ('cannot tell') in {test['all']:.0%}. "
            "Images unlike the training ones get all, for of these nothing is promised."
        )
        few = [name for name, least in sets["least_probability"].items() if least == 0]
        if few:
            lines.append(
                f"Too few patients calibrate the sets to ever leave out {', '.join(few)} "
                f"({', '.join(str(sets['groups'][name]) for name in few)})."
            )
    if "mae" in (test := document.get("on_test", {})):
        lines.append(
            f"On the run's own test the mean absolute error of {document['target']} was "
            f"{in_words(test['mae'], test['mae_ci'])}, R2 {in_words(test['r2'], test['r2_ci'])}."
        )
    elif test:
        lines += [
            f"{name} is called from {one['threshold']:.3f} on: on the run's own test with a sensitivity of "
            f"{in_words(one['sensitivity'], one['sensitivity_ci'])} and a specificity of "
            f"{in_words(one['specificity'], one['specificity_ci'])}."
            for name, one in test.items()
        ]
    if calling := document.get("threshold"):
        lines += [
            f"{name} is called from {point['threshold']:.3f} on: on the run's own test with a sensitivity of "
            f"{in_words(point['sensitivity'], point['sensitivity_ci'])} and a specificity of "
            f"{in_words(point['specificity'], point['specificity_ci'])}."
            for name, point in calling["classes"].items()
            if point is not None
        ]
    return lines


def csv_titles(rules: Rules) -> str:
    """The first line of the CSV of predictions."""
    document = rules.run.document
    if isinstance(document, NumberDocument):
        return _line(["image", document.target, "out_of_distribution", "unusable"])
    if isinstance(document, FindingsDocument):
        each = (f"{what} {name}" for what in ("probability", "called") for name in document.names)
        return _line(["image", *each, "out_of_distribution", "unusable"])
    return _line(
        [
            "image",
            "class",
            *(f"probability {name}" for name in document.classes),
            "out_of_distribution",
            *(["set", "answer"] if rules.sets else []),
            *(f"called {name}" for name in (rules.calling.thresholds if rules.calling else ())),
            "unusable",
        ]
    )


def csv_line(one: Mapping[str, Any], rules: Rules) -> str:
    """The line of an image, or of one that could not be used, whose reason is in the last column.

    Args:
        one: As in the document of `predict`.
        rules: What the call goes by.
    """
    document = rules.run.document
    if not isinstance(document, RunDocument):
        return _target_line(one, document)
    classes = document.classes
    calls = list(rules.calling.thresholds) if rules.calling else []
    if "reason" in one:
        empty = [""] * (2 + len(classes) + 2 * bool(rules.sets) + len(calls))
        return _line([one["path"], *empty, f"{one['stage']}: {one['reason']}"])
    sets = ["|".join(one["classes"]), one["answer"]] if rules.sets else []
    return _line(
        [
            one["image"],
            one["label"],
            *(repr(one["probabilities"][name]) for name in classes),
            _yes(said=one["out_of_distribution"]),
            *sets,
            *(_yes(said=one["called"][name]) for name in calls),
            "",
        ]
    )


def _target_line(one: Mapping[str, Any], document: NumberDocument | FindingsDocument) -> str:
    numeric = isinstance(document, NumberDocument)
    if "reason" in one:
        empty = [""] * (2 if numeric else 1 + 2 * len(document.names))
        return _line([one["path"], *empty, f"{one['stage']}: {one['reason']}"])
    told = [repr(one["value"])] if numeric else [
        *(repr(one["probabilities"][name]) for name in document.names),
        *(_yes(said=one["called"][name]) for name in document.names),
    ]  # fmt: skip
    return _line([one["image"], *told, _yes(said=one["out_of_distribution"]), ""])


def _yes(*, said: bool) -> str:
    return "yes" if said else "no"


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()

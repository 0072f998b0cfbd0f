from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrfeat.run.document import (
    Began,
    BestDefault,
    Chosen,
    ClassPoints,
    CommonDocument,
    ControlScores,
    Encoded,
    Evaluation,
    Features,
    FinalEvaluation,
    Finetuning,
    Fold,
    FoldValidation,
    HeadRecord,
    Identity,
    OperatingPoint,
    OperatingPoints,
    OuterSearch,
    Outputs,
    PairWithin,
    RunDocument,
    Scores,
    Search,
    SearchFound,
    SearchSettings,
    SplitRecord,
    Tried,
    UnlikeRecord,
    WithinSource,
)
from cxrfeat.run.record import DamagedError, from_json, to_json
from cxrfeat.run.target_document import (
    FindingRates,
    FindingRecord,
    FindingScores,
    FindingsDocument,
    NotScored,
    NumberDocument,
    NumberRecord,
    NumberScores,
    TargetDocument,
    Tenth,
)
from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec
from cxrfeat.types import Finding, Status
from tests.effort import expensive
from tests.run.documents import CLASSES, records
from tests.run.page import page_tables

DOCUMENTS = records(RunDocument)
QUICK = expensive(6, 40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def through_json(document: RunDocument) -> Any:
    return json.loads(json.dumps(to_json(document), allow_nan=False))


@QUICK
@given(DOCUMENTS)
def test_a_document_comes_back_as_it_was_written(document: RunDocument) -> None:
    stored = through_json(document)
    again = from_json(RunDocument, stored)
    assert again == document
    assert through_json(again) == stored


def places(stored: Any) -> Iterator[tuple[Any, Any]]:
    """Each object and each list of a JSON value, with each of its keys or places."""
    for key, value in stored.items() if isinstance(stored, dict) else enumerate(stored):
        yield stored, key
        if isinstance(value, dict | list):
            yield from places(value)


@QUICK
@given(DOCUMENTS, st.data())
def test_a_value_of_another_type_is_refused_or_means_the_same(document: RunDocument, data: st.DataObject) -> None:
    stored = through_json(document)
    owner, key = data.draw(st.sampled_from(list(places(stored))))
    before = owner[key]
    owner[key] = data.draw(st.sampled_from([None, True, 7, -0.5, "x", [], {}, [1], float("nan")]))
    again = None
    with contextlib.suppress(DamagedError):
        again = from_json(RunDocument, stored)
    assert again is None or to_json(again) == stored, f"{before} became something else without a word"


@QUICK
@given(DOCUMENTS, st.data())
def test_a_field_that_is_not_there_is_refused(document: RunDocument, data: st.DataObject) -> None:
    stored = through_json(document)
    fields = [(owner, key) for owner, key in places(stored) if isinstance(owner, dict)]
    owner, key = data.draw(st.sampled_from(fields))
    del owner[key]
    again = None
    with contextlib.suppress(DamagedError):
        again = from_json(RunDocument, stored)
    # Else it was a key of an object that may hold any, or a field that is only there where it says something.
    assert again is None or to_json(again) == stored


@QUICK
@given(DOCUMENTS)
def test_other_keys_are_ignored(document: RunDocument) -> None:
    stored = through_json(document)
    for owner in (stored, stored["identity"], stored["test"], stored["test"]["within_source"], stored["fitted"]):
        owner["of another program"] = {"any": ["thing"]}
    assert from_json(RunDocument, stored) == document


@given(DOCUMENTS)
@settings(max_examples=1, suppress_health_check=list(HealthCheck))
def test_what_does_not_go_together_is_refused(document: RunDocument) -> None:
    other: Literal["head", "finetune"] = "head" if document.kind == "finetune" else "finetune"
    with pytest.raises(ValueError, match="its kind is not what it holds"):
        dataclasses.replace(document, kind=other)
    with pytest.raises(ValueError, match="its classes differ from place to place"):
        dataclasses.replace(document, classes=(*CLASSES, "more"))
    named = Finding(check="copies", status=Status.WARN, why="Two are one.", images=("COVID/Mrs X.png",))
    with pytest.raises(ValueError, match="its audit names images"):
        dataclasses.replace(document, audit=(named,))
    lacking = dataclasses.replace(document.test)
    with pytest.raises(ValueError, match="sensitivity is not of the classes COVID, chosen_on"):
        dataclasses.replace(lacking, sensitivity={"COVID": 0.5})
    with pytest.raises(ValueError, match="confusion has not as many"):
        dataclasses.replace(lacking, confusion=((1,),))
    with pytest.raises(ValueError, match="operating_points are of other classes"):
        dataclasses.replace(
            lacking, operating_points=dataclasses.replace(lacking.operating_points, classes={"COVID": ClassPoints()})
        )


@given(records(Identity))
def test_an_identity_is_of_one_thing_that_was_asked_for(identity: Identity) -> None:
    stored = to_json(identity)
    assert len({"head", "finetune", "search"} & stored.keys()) == 1
    assert ("head_from" in stored) == ("finetune" in stored)
    for name in ("head", "finetune", "search"):
        stored.pop(name, None)
    with pytest.raises(DamagedError, match="one of a head, a fine-tuning and a search"):
        from_json(Identity, stored)


def test_the_point_that_is_shown_is_that_of_other_images_where_there_is_one() -> None:
    rates: dict[str, Any] = dict.fromkeys(("sensitivity", "sensitivity_ci", "specificity", "specificity_ci"))
    told, chosen = (OperatingPoint(threshold=threshold, **rates) for threshold in (0.25, 0.75))
    assert ClassPoints(at_threshold=told, at_specificity=chosen).shown == told
    assert ClassPoints(at_specificity=chosen, at_sensitivity=told).shown == chosen
    assert ClassPoints(at_sensitivity=told).shown is None


# runs/README.md specifies the format: a table of keys for each of these.

SECTIONS: dict[str, type] = {
    "Every run": CommonDocument, "Run": RunDocument, "Identity": Identity,
    "Split": SplitRecord, "Features": Features, "Head": HeadRecord,
    "Scores": Scores, "Evaluation": Evaluation, "Test": FinalEvaluation, "Fold": Fold,
    "Fold validation": FoldValidation, "Within sources": WithinSource, "Pair": PairWithin,
    "Operating points": OperatingPoints, "Points": ClassPoints, "Point": OperatingPoint, "Control": ControlScores,
    "Encoded": Encoded,
    "Outputs": Outputs, "Finding": Finding,
    "Unlike": UnlikeRecord, "Search settings": SearchSettings, "Search found": SearchFound,
    "Search": Search, "Outer search": OuterSearch, "Chosen": Chosen, "Default": BestDefault, "Tried": Tried,
    "Fine-tuning": Finetuning, "Network": Began,
    "Run of another target": TargetDocument, "Run of a number": NumberDocument, "Head of a number": NumberRecord,
    "Scores of a number": NumberScores, "Tenth": Tenth, "Run of all findings": FindingsDocument,
    "Predicted finding": FindingRecord, "Rates of a finding": FindingRates, "Scores of a finding": FindingScores,
    "Not scored": NotScored,
}  # fmt: skip

ENVELOPE = {"format", "version", "files", "digest"}
"""Keys of `run.json` that name the format and keep it whole; `folder` knows them."""


def own_keys(kind: type) -> set[str]:
    """The keys that a dataclass adds to those of what it is based on, or holds flat."""
    assert dataclasses.is_dataclass(kind)
    bases = [base for base in kind.__bases__ if dataclasses.is_dataclass(base)]
    inherited = {field.name for base in bases for field in dataclasses.fields(base)}
    return {field.name for field in dataclasses.fields(kind) if "flat" not in field.metadata} - inherited


def test_page_and_code_have_the_same_keys() -> None:
    told = page_tables("### ")
    assert {name for name in told if not name.startswith("`")} == SECTIONS.keys()
    for name, kind in SECTIONS.items():
        assert set(told[name]) == own_keys(kind) | (ENVELOPE if kind is CommonDocument else set()), name
        assert len(set(told[name])) == len(told[name]), name


def test_every_object_of_a_run_is_on_the_page() -> None:
    seen: set[type] = set()

    def look(kind: Any) -> None:
        if dataclasses.is_dataclass(kind) and kind not in (HeadSpec, FeatureSpec, FinetuneSpec, *seen):
            seen.add(kind)  # type: ignore[arg-type]  # a class, and no instance
            for hint in get_type_hints(kind).values():
                look(hint)
        for inner in get_args(kind):
            look(inner)

    for kind in (RunDocument, NumberDocument, FindingsDocument):
        look(kind)
    assert seen | {Scores, CommonDocument, TargetDocument} == set(SECTIONS.values())

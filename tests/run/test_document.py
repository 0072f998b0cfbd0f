from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrfeat.run.document import ClassPoints, Identity, OperatingPoint, RunDocument
from cxrfeat.run.record import DamagedError, from_json, to_json
from tests.run.documents import CLASSES, records

DOCUMENTS = records(RunDocument)
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


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
    owner[key] = data.draw(st.sampled_from([None, True, 7, -0.5, "x", [], {}, [1], {"a": 1}, float("nan")]))
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

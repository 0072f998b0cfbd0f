from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from cxrfeat.run.record import DamagedError, from_json, to_json
from cxrfeat.run.target_document import FindingsDocument, NumberDocument
from cxrfeat.types import Finding, Status
from tests.effort import expensive
from tests.run.documents import records
from tests.run.test_document import places, through_json

QUICK = expensive(8, 30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
DOCUMENTS = st.one_of(records(NumberDocument), records(FindingsDocument))


@QUICK
@given(DOCUMENTS)
def test_a_document_comes_back_as_it_was_written(document: Any) -> None:
    stored = through_json(document)
    assert from_json(type(document), stored) == document


@QUICK
@given(DOCUMENTS, st.data())
def test_a_value_of_another_type_is_refused_or_means_the_same(document: Any, data: st.DataObject) -> None:
    stored = through_json(document)
    owner, key = data.draw(st.sampled_from(list(places(stored))))
    owner[key] = data.draw(st.sampled_from([None, True, 7, -0.5, "x", [], {}, [1], float("nan")]))
    try:
        again = from_json(type(document), stored)
    except DamagedError:
        return
    assert to_json(again) == stored


@QUICK
@given(records(FindingsDocument))
def test_findings_are_all_different_and_each_is_there_or_not(document: FindingsDocument) -> None:
    with pytest.raises(ValueError, match="its findings are none, or not all different"):
        dataclasses.replace(document, findings=())
    with pytest.raises(ValueError, match="its findings are none, or not all different"):
        dataclasses.replace(document, findings=document.findings * 2)
    (first, *_) = document.findings
    three = dataclasses.replace(first.fitted, classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="tells 3 classes"):
        dataclasses.replace(document, findings=(dataclasses.replace(first, fitted=three),))


@QUICK
@given(DOCUMENTS)
def test_an_audit_that_names_images_is_refused(document: Any) -> None:
    named = Finding(check="copies", status=Status.WARN, why="Two are one.", images=("COVID/Mrs X.png",))
    with pytest.raises(ValueError, match="its audit names images"):
        dataclasses.replace(document, audit=(named,))

"""Documents of runs, drawn at random from nothing but the types of their fields."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from cxrfeat.run.document import (
    Evaluation,
    Fold,
    HeadRecord,
    Identity,
    OperatingPoints,
    RunDocument,
)
from cxrfeat.run.target_document import FindingsDocument, NumberDocument
from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, ViewSpec
from cxrfeat.types import Finding

CLASSES = ("COVID", "chosen_on")
"""A class may be called anything, and by the name of a key too."""

SPECS: dict[type, list[Any]] = {
    HeadSpec: [HeadSpec(kind="knn"), HeadSpec(kind="dense", hidden=(4, 3), patience=2, learning_rate=0.5)],
    FinetuneSpec: [FinetuneSpec(head=HeadSpec(kind="softmax")), FinetuneSpec(head=HeadSpec(kind="dense"), clip=None)],
    FeatureSpec: [
        FeatureSpec(backbone="resnet50", weights="sha256:0", preprocess="caffe", view=ViewSpec(size=32)),
        FeatureSpec(backbone="file", weights="w", preprocess="none", view=ViewSpec(size=40, letters=True), split="s"),
    ],
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of a type may hold."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in SPECS:
        return st.sampled_from(SPECS[kind])
    if kind is object:
        return st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3) | st.lists(st.integers(0, 9))
    if origin in (Union, types.UnionType):
        return st.one_of(*(st.none() if one is types.NoneType else values(one) for one in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(values(arguments[0]), max_size=2).map(tuple)
        return st.tuples(*map(values, arguments))
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=4), values(arguments[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    if dataclasses.is_dataclass(kind):
        return records(kind)
    return {
        bool: st.booleans(),
        int: st.integers(0, 2**40),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: st.text(max_size=5),
    }[kind]


def records(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a dataclass, by its fields' types and by what must go together."""
    hints = get_type_hints(kind)
    fields = {field.name: values(hints[field.name]) for field in dataclasses.fields(kind)}
    if issubclass(kind, Evaluation | Fold):
        for name, hint in hints.items():
            if get_origin(hint) is Mapping and name != "shortcuts":
                fields[name] = _of_classes(get_args(hint)[1])
        fields["confusion"] = st.just(((1, 2), (3, 4)))
    if issubclass(kind, Evaluation | RunDocument | HeadRecord):
        fields["classes"] = st.just(CLASSES)
    if kind is Finding:
        fields["images"] = st.just(())
    if kind is OperatingPoints:
        fields["classes"] = _of_classes(get_args(hints["classes"])[1])
    if kind is Identity:
        asked = st.sampled_from(("head", "finetune", "search"))
        return asked.flatmap(lambda name: _some(kind, fields, {"head", "finetune", "search"} - {name}, {name}))
    if kind is RunDocument:
        kinds = st.sampled_from(({"search"}, {"finetune"}, set[str]()))
        return kinds.flatmap(
            lambda there: _some(
                kind,
                fields | {"kind": st.just("finetune" if "finetune" in there else "head")},
                {"search", "finetune"} - there,
                there,
            )
        )
    if kind is NumberDocument:
        return st.sampled_from(({"search"}, set[str]())).flatmap(
            lambda there: _some(kind, fields, {"search"} - there, there)
        )
    if kind is FindingsDocument:
        fields["findings"] = st.lists(
            values(get_args(hints["findings"])[0]), min_size=1, max_size=2, unique_by=lambda one: one.name
        ).map(tuple)
    return st.builds(kind, **fields)


def _of_classes(kind: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({name: values(kind) for name in CLASSES})


def _some(
    kind: Any, fields: dict[str, st.SearchStrategy[Any]], absent: set[str], there: set[str]
) -> st.SearchStrategy[Any]:
    """Without some fields, and without those that stand beside these."""
    beside = {field.name: field.metadata.get("beside") for field in dataclasses.fields(kind)}
    given = {name: one for name, one in fields.items() if name not in absent and beside[name] not in absent}
    return st.builds(kind, **given | {name: given[name].filter(lambda one: one is not None) for name in there})

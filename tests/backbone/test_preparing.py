from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.backbone.preparing import Sign, planes_of
from cxrfeat.spec import FeatureSpec, ViewSpec


def said(channels: int, **fields: Any) -> list[str]:
    plain: dict[str, Any] = {"backbone": "file", "weights": "sha256:0", "preprocess": "none"}
    spec = FeatureSpec(**{**plain, **fields}, view=ViewSpec(size=32))

    def do(tensor: str, sign: Sign, number: float) -> str:
        return f"({tensor}{sign}{number:g})"

    return planes_of("x", spec, channels, do)


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"preprocess": "tf"}, ["((x/127.5)-1)"] * 3),
    ({"preprocess": "torch"}, ["(((x/255)-0.485)/0.229)", "(((x/255)-0.456)/0.224)", "(((x/255)-0.406)/0.225)"]),
    ({"preprocess": "caffe"}, ["(x-103.939)", "(x-116.779)", "(x-123.68)"]),
    ({"preprocess": "none"}, ["x"] * 3),
    ({"preprocess": "xrv"}, ["((((x/255)*2)-1)*1024)"] * 3),
    (
        {"preprocess": "torch", "pixel_mean": (0.1, 0.2, 0.3), "pixel_std": (1, 2, 3)},
        ["(((x/255)-0.1)/1)", "(((x/255)-0.2)/2)", "(((x/255)-0.3)/3)"],
    ),
    ({"preprocess": "torch", "pixel_mean": (0.5,), "pixel_std": (0.25,)}, ["(((x/255)-0.5)/0.25)"] * 3),
    ({"preprocess": "caffe", "normalize": "none"}, ["x"] * 3),
    ({"preprocess": "tf", "normalize": "featurewise", "mean": 9, "std": 2}, ["((x-9)/2)"] * 3),
]


@pytest.mark.parametrize(("fields", "planes"), CASES, ids=lambda case: "-".join(map(str, case)))
def test_the_operations_are_those_of_each_way_and_a_grey_network_gets_the_first(
    fields: dict[str, Any], planes: list[str]
) -> None:
    assert said(3, **fields) == planes
    assert said(1, **fields) == planes[:1]

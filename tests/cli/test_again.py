from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrfeat.call import Call
from cxrfeat.cli.again import command_line
from cxrfeat.cli.options import Head, Protocol, Training
from cxrfeat.finetuning.recipe import DEFAULT, PAPER
from cxrfeat.spec import FinetuneSpec, HeadSpec, SplitSpec
from tests.cli.test_fields import taken

heads = st.builds(
    HeadSpec,
    kind=st.just("dense"),
    epochs=st.integers(0, 3),
    learning_rate=st.sampled_from([0.01, 1e-7, 0.1 + 0.2]),
    hidden=st.sampled_from([None, (8,), (8, 4)]),
    patience=st.sampled_from([None, 0, 3]),
    schedule=st.sampled_from(["inverse-time", "cosine"]),
    standardize=st.booleans(),
    calibrate=st.booleans(),
    strength=st.sampled_from([None, 0.5]),
)


@given(heads)
@settings(max_examples=25)
def test_the_command_of_a_head_gives_that_head_again(head: HeadSpec) -> None:
    words = shlex.split(command_line(Call("fit", ("x.h5", head), {"seed": 3})))
    assert words[:5] == ["cxrfeat", "fit-head", "x.h5", "--head", "dense"]
    assert words[-2:] == ["--seed", "3"]
    assert HeadSpec(kind="dense", **taken(Head, *words[5:-2])) == head


@pytest.mark.parametrize(
    "spec", [DEFAULT, PAPER, replace(DEFAULT, clip=None, freeze_until="conv5", precision="float16")]
)
def test_the_command_of_a_fine_tuning_needs_no_recipe(spec: FinetuneSpec) -> None:
    words = shlex.split(command_line(Call("finetune", ("DATA",), {"head_from": "mine", "spec": spec, "seed": 0})))
    assert words[:5] == ["cxrfeat", "finetune", "DATA", "--head-from", "mine"]
    protocol, (precision, *_) = words[5:-4], words[-3:]
    assert (words[-4], precision) == ("--precision", spec.precision)
    start = protocol.index("--clip")
    other = PAPER if spec is DEFAULT else DEFAULT
    again = replace(
        replace(other, **taken(Training, *protocol[start:])),
        head=replace(other.head, kind=spec.head.kind, **taken(Protocol, *protocol[:start])),
        precision=spec.precision,
    )
    assert again == spec


def test_a_cold_start_names_the_head_that_is_drawn() -> None:
    call = Call("finetune", ("DATA",), {"cache": "features/x.h5", "warm": None, "spec": PAPER, "seed": 0})
    assert "--cache features/x.h5 --cold --head dropout --epochs 20 " in command_line(call)
    assert "--cold" not in command_line(Call("finetune", ("DATA",), {"head_from": "mine", "spec": PAPER}))


def test_what_no_command_takes_is_no_command() -> None:
    with pytest.raises(TypeError, match="No command takes a SplitSpec"):
        command_line(Call("fit", (SplitSpec(),)))

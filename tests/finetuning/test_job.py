from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.finetuning.job import Job
from cxrfeat.types import Finding, Status


class Drawn:
    """What a job asks its network."""

    def __init__(self, backbone: str, *, random: bool) -> None:
        self.backbone, self.random = backbone, random


@pytest.mark.parametrize(
    ("network", "status"),
    [
        (Drawn("resnet50", random=False), Status.PASS),
        (Drawn("resnet50", random=True), Status.WARN),
        (Drawn(SCRATCH, random=True), Status.PASS),  # it is to begin with nothing
    ],
)
def test_of_weights_that_are_trained_here_it_is_said_what_they_began_with(network: Any, status: Status) -> None:
    others: dict[str, Any] = dict.fromkeys(("plain", "split", "run", "head", "spec", "identity", "place"))
    job = Job(network=network, **others)
    told = job.findings(
        [
            Finding(check="weights", status=Status.FAIL, why="of the frozen network"),
            Finding(check="split", status=Status.PASS, why="fine"),
        ]
    )
    assert {one.check: one.status for one in told} == {"split": Status.PASS, "weights": status}
    assert all("frozen" not in one.why for one in told)

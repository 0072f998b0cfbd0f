"""What is begun for a feature file; the room for it is asked for in `test_extract.py` and `test_spare.py`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from cxrfeat.feature.keys import Keys
from cxrfeat.feature.plan import Share
from cxrfeat.feature.task import Computing, alike, begin
from cxrfeat.feature.work import Work
from tests.stub import StubFactory, stub_request


def test_of_a_share_only_its_shards_are_missing_and_jobs_over_the_same_shards_are_alike(tmp_path: Path) -> None:
    contents = Keys(f"{number:064x}" for number in range(300))
    computing = Computing("stub", StubFactory(), 4)
    with ExitStack() as stack:
        works = [stack.enter_context(Work(tmp_path / f"{name}.h5")) for name in "abc"]
        requests = [stub_request("a"), stub_request("b", weights="1" * 64), stub_request("c", views=3)]
        tasks = [
            begin(work, request, "set", contents, computing, stack)
            for work, request in zip(works, requests, strict=True)
        ]
        assert tasks[0].job.missing == [0, 1, 2]
        assert [len(jobs) for jobs in alike([task.job for task in tasks])] == [2, 1]
        part = begin(works[0], requests[0], "set", contents, computing, stack, Share(1, 3))
        assert (part.job.missing, part.job.plan.id) == ([1], tasks[0].job.plan.id)

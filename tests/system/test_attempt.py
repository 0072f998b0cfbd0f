from __future__ import annotations

from cxrfeat.system.attempt import DEATHS, FAILURES, Attempts


def test_what_fails_is_tried_again_after_the_others_and_set_aside_in_time() -> None:
    attempts, begun = Attempts(3), []
    while (thing := attempts.next()) is not None:
        begun.append(thing)
        if thing == 1:
            attempts.failed(thing)
    assert begun == [0, 1, 2, 1]
    assert begun.count(1) == FAILURES


def test_a_worker_that_dies_may_be_nobodys_fault() -> None:
    attempts = Attempts(1)
    tried = 0
    while (thing := attempts.next()) is not None:
        tried += 1
        assert attempts.died(thing) == (tried == DEATHS)
    assert tried == DEATHS
    assert attempts.waiting == 0

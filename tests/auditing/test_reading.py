from __future__ import annotations

from cxrfeat.auditing.reading import check_reading
from cxrfeat.image.note import Note, Weight
from cxrfeat.types import Status


def test_what_is_lost_fails_and_what_may_surprise_warns() -> None:
    lost, odd, minor = (
        Note(text=f"{weight}.", weight=weight) for weight in (Weight.LOSS, Weight.NOTABLE, Weight.MINOR)
    )
    found = check_reading([odd, lost, minor, lost])
    assert [(one.status, one.value) for one in found] == [(Status.FAIL, 2), (Status.WARN, 1)]
    assert found[0].why == f"{lost.text} {lost.text}"
    assert all(one.do for one in found)


def test_a_folder_of_which_everything_was_used_passes() -> None:
    (found,) = check_reading([])
    assert (found.status, found.value, found.do) == (Status.PASS, 0, "")

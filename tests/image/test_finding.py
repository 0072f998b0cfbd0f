from __future__ import annotations

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.finding import ABSENT, NOT_STATED, PRESENT, STATES, UNCERTAIN, chosen_findings, finding_counts


def test_findings_are_counted_by_what_is_said_of_them() -> None:
    assert (PRESENT, ABSENT, UNCERTAIN, NOT_STATED) == tuple(STATES.values()) == (1, 0, -1, -2)
    found = finding_counts(["Mass", "Edema"], [(1, -2), (1, 0), (-1, 1), None])
    assert found["Mass"] == {"present": 2, "absent": 0, "uncertain": 1, "not_stated": 1}
    assert found["Edema"] == {"present": 1, "absent": 1, "uncertain": 0, "not_stated": 2}
    assert finding_counts([], [None]) == {}


def test_findings_are_chosen_by_name_in_the_order_that_is_asked_for() -> None:
    values = [(1, 0, -1), (0, 1, -2)]
    found = chosen_findings(["Mass", "Edema", "Hernia"], values, ["hernia", "Mass", "mass"], "the set")
    assert found == (("Hernia", "Mass"), [(-1, 1), (-2, 0)])
    with pytest.raises(InputError, match=r"'Edemaa', which is not a finding of the set. Did you mean Edema\?"):
        chosen_findings(["Mass", "Edema"], [], ["Edemaa"], "the set")

from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.errors import SpecError
from cxrfeat.phantom.spec import PhantomSpec, chance
from cxrfeat.spec import fingerprint


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ()}, r"classes is a tuple of 1 to 26 names; got \(\)"),
        ({"classes": ["COVID"]}, "is a tuple of 1 to 26 names"),
        ({"classes": ("COVID", "../etc")}, r"got '\.\./etc'"),
        ({"classes": ("COVID", "covid")}, "holds a name twice"),  # one folder on some file systems
        ({"sources": ("A", "B", "C", "D")}, "sources is a tuple of 1 to 3 names"),
        ({"patients_per_class": 0}, "whole number from 1 to 100000; got 0"),
        ({"images_per_patient": 4}, "from 1 to 3; got 4"),
        ({"size": 63}, "from 64 to 2048; got 63"),
        ({"size": 256.0}, "got 256.0"),
        ({"seed": True}, "got True"),
        ({"patients_per_class": 2, "duplicates": 7}, "copies: a whole number from 0 to 6; got 7"),
        ({"broken": -1}, "from 0 to 1000; got -1"),
        ({"letters": "always"}, "random, class or none; got 'always'"),
    ],
)
def test_spec_refuses_what_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        PhantomSpec(**fields)


def test_spec_has_a_fingerprint() -> None:
    assert fingerprint(PhantomSpec()) == fingerprint(PhantomSpec(seed=0))
    assert fingerprint(PhantomSpec()) != fingerprint(PhantomSpec(seed=1))


def test_chance_belongs_to_a_purpose_a_class_by_name_and_a_thing() -> None:
    def drawn(spec: PhantomSpec, *key: Any) -> float:
        return float(chance(spec, *key).random())

    spec = PhantomSpec()
    assert drawn(spec, "letter", 1, 2) == drawn(spec, "letter", 1, 2)
    assert drawn(spec, "letter", 1, 2) == drawn(PhantomSpec(classes=("NORMAL", "COVID"), size=64), "letter", 0, 2)
    others = {drawn(spec, *key) for key in (("letter", 1, 2), ("patient", 1, 2), ("letter", 0, 2), ("letter", 1, 3))}
    assert len(others) == 4
    assert drawn(PhantomSpec(seed=1), "letter", 1, 2) not in others

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.target_record import Targets, existing_target_run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.workflow.helpers import make_features


def test_an_identity_hangs_on_what_is_told_and_on_its_values(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "f.h5")) as file:
        true = np.arange(80.0)[:, None]

        def identity(**changes: object) -> str:
            fields = {"target": "age", "names": ("age",), "true": true} | changes
            made = Targets(file=file, X=file.read(), split=file.split(), **fields)  # type: ignore[arg-type]  # varied
            return repr(made.identity(head=HeadSpec(kind="ridge")))

        first = identity()
        assert identity() == first
        assert len({first, identity(target="dose", names=("dose",)), identity(true=true + 1), identity(excluded=("x",)),
                    identity(target="findings", uncertain="present"), identity(target="findings")}) == 6  # fmt: skip
        assert identity(uncertain="present") == first, "a number is never uncertain"


def test_a_place_where_a_run_of_classes_stands_is_taken(tmp_path: Path) -> None:
    path, runs = make_features(tmp_path / "f.h5", ages=[float(one) for one in range(80)]), tmp_path / "runs"
    (run,) = fit(path, "ridge", runs=runs).runs
    with FeatureFile(path) as file:
        targets = Targets(file=file, X=file.read(), split=file.split(), target="age", names=("age",),
                          true=file.numbers("age")[:, None])  # fmt: skip
        identity = targets.identity(head=HeadSpec(kind="ridge"))
        assert existing_target_run(runs / "nothing", identity) is None
        with pytest.raises(InputError, match="already exists and is another run"):
            existing_target_run(run.path, identity)

"""Features from elsewhere, and heads on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.workflow.export_features import export_features
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.import_features import NO_PIXELS, import_features
from tests.workflow.helpers import make_features, probabilities

pytest.importorskip("pyarrow", reason="the extra tables is not installed")
pytest.importorskip("pandas", reason="the extra tables is not installed")


def test_heads_on_a_table_read_back_are_the_same(tmp_path: Path) -> None:
    file = make_features(tmp_path / "features" / "set.h5", groups=12)
    table = export_features(file, out=tmp_path / "t.parquet").path
    made = import_features(table, features=tmp_path / "again")
    assert made.classes == {"COVID": 24, "NORMAL": 24}
    assert NO_PIXELS in made.notes
    runs = [fit(one, ["logreg"], runs=tmp_path / name).runs[0] for one, name in ((file, "a"), (made.path, "b"))]
    said = [probabilities(run) for run in runs]
    assert said[0].keys() == said[1].keys()
    assert all(np.array_equal(said[0][key], said[1][key]) for key in said[0])
    assert runs[0].document.test.accuracy_ci == runs[1].document.test.accuracy_ci
    checks = {one.check: str(one.status) for one in runs[1].document.audit}
    assert checks["pixels"] == "warn"
    assert not {"copies", "blank", "thumbnail"} & checks.keys()
    with pytest.raises(InputError, match="already exists"):
        import_features(table, features=tmp_path / "again")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no table"):
        import_features(tmp_path / "t.parquet")
    (tmp_path / "t.txt").touch()
    with pytest.raises(InputError, match="does not end in"):
        import_features(tmp_path / "t.txt")

"""Feature files as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.workflow.export_features import export_features
from tests.workflow.helpers import make_features

pytest.importorskip("pandas", reason="the extra tables is not installed")


def test_a_table_is_called_as_its_features_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = make_features(tmp_path / "features" / "set.h5", groups=2)
    made = export_features(file, to="npz")
    assert made.path == Path("set.npz")
    assert made.path.is_file()
    assert made.to_dict() == {"path": "set.npz", "to": "npz", "images": 8, "views": 2, "dim": 6, "beside": []}
    with pytest.raises(UsageError, match=r"ends in \.npz"):
        export_features(file, to="npz", out="set.parquet")
    (tmp_path / "bad.h5").write_bytes(b"rubbish")
    with pytest.raises(InputError):
        export_features("bad.h5", to="npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.h5", "features", "set.npz"]

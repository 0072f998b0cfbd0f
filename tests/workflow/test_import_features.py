"""Features from elsewhere, and heads on them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.auditing.short import plain_checks
from cxrfeat.backbone.network import find_again
from cxrfeat.errors import InputError, UsageError, WeightsError
from cxrfeat.feature.exported import ABOUT
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Split
from cxrfeat.image.manifest_file import manifest_path, read_lines
from cxrfeat.reporting.copies import copies_in
from cxrfeat.reporting.tiles import TileSheet
from cxrfeat.workflow.audit import audit
from cxrfeat.workflow.export_features import export_features
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.import_features import NO_PIXELS, import_features
from cxrfeat.workflow.similar import similar
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


def test_nothing_is_claimed_of_a_network_and_of_pictures_that_nobody_has_seen(tmp_path: Path) -> None:
    rows = "".join(f"{at},{'AB'[at % 2]},p{at // 2},{at % 7},{at % 5}\n" for at in range(40))
    (tmp_path / "net.csv").write_text(f"id,label,patient,f0,f1\n{rows}")
    made = import_features(tmp_path / "net.csv", features=tmp_path / "features")
    with FeatureFile(made.path) as file:
        parts, classes = np.tile(["train", "train", "test", "test"], 10), file.classes
        split = Split.of(parts, file.content_sha256, file.labels, classes, by="column", seed=0)
        checks = {one.check: one for one in plain_checks(file, split)}
        assert checks["weights"].status == "warn"
        assert "imported from a table" in checks["weights"].why
        assert "unreadable" not in checks
        sheet = TileSheet(file)
        sheet.number_of(0)
        assert sheet.tiles() is None, "a picture of nothing"
        assert copies_in(file, sheet, file.image_ids, [None] * file.images) is None
        with pytest.raises(WeightsError, match="imported from a table"):
            find_again(file.spec, file.content.backbone)
    with pytest.raises(InputError, match="holds features"):
        audit(made.path)
    place = manifest_path(tmp_path / "features", "net")
    assert [(line.path, line.patient_id) for line in read_lines(place)][:3] == [("0", "p0"), ("1", "p0"), ("2", "p1")]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert similar("7", made.path).neighbours[0].image.isdecimal(), "images are called as in the table"
    of_images = place.read_text().replace('"yes",""', '"yes","/images"')
    place.write_text(of_images)
    (tmp_path / "net.csv").write_text(f"id,label,patient,f0,f1\n{rows.replace('p', 'q')}")
    assert "salted ids" in import_features(tmp_path / "net.csv", features=tmp_path / "features").notes[1]
    assert place.read_text() == of_images


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no table"):
        import_features(tmp_path / "t.parquet")
    (tmp_path / "t.txt").touch()
    with pytest.raises(InputError, match="does not end in"):
        import_features(tmp_path / "t.txt")


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text("id,label,f0,f1\n1,A,1,2\n2,B,2,1\n")
    for name in ("../out", "a/b", "..", ".hidden", ""):
        with pytest.raises(UsageError, match="part of a file's name"):
            import_features(tmp_path / "net.csv", features=tmp_path / "features", dataset=name)
    table = export_features(make_features(tmp_path / "set.h5", groups=2), to="npz", out=tmp_path / "t.npz").path
    with np.load(table) as stored:
        arrays = dict(stored)
    for name in ("dataset", "backbone"):
        about = {**json.loads(str(arrays[ABOUT])), name: "../out"}
        np.savez(table, allow_pickle=False, **{**arrays, ABOUT: np.array(json.dumps(about))})
        with pytest.raises(InputError, match="no file can have"):
            import_features(table, features=tmp_path / "features")

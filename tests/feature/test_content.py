"""What a feature file says of its images is what the manifest says of them, salted where it must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Selection
from tests.feature.images import SALT, extract, make_data


def test_columns_are_those_of_the_manifest(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 3)
    table = ["image,label,patient_id,source,sex,age,date,split,laterality,Mass,ward,dose"]
    for number, path in enumerate(sorted(data.glob("*/*.png"))):
        cells = (
            f"p{number // 2}",
            "north" if number % 3 else "",
            "F",
            str(30 + number),
            "2020-01-02",
            "test",
            "L",
            "01"[number % 2],
            "north",
            str(number / 4),
        )
        told = cells if number % 2 else ("", "", "", "", "", "train", "", "-1", "", "")
        table.append(",".join((path.relative_to(data).as_posix(), path.parent.name, *told)))
    (data / "metadata.csv").write_text("\n".join(table) + "\n")
    asked = Selection(findings=["Mass"], keep_columns=["ward", "dose"])
    (made,) = extract(data, tmp_path / "f", selection=asked)
    rows = index_folder(data, asked).rows
    with FeatureFile(made.path) as file:
        columns, values = file.content.columns, file.content.values
        texts = {name: [*values[name], None] for name in values}
        for number, row in enumerate(rows):
            assert file.image_ids[number] == SALT.image_id(row.path, row.content_sha256)
            assert file.content_sha256[number] == row.content_sha256
            assert file.classes[columns["label"][number]] == row.label
            assert bool(columns["known_patient"][number]) is (row.patient is not None)
            assert columns["date"][number].decode() == (row.date or "")
            np.testing.assert_equal(float(columns["age"][number]), np.nan if row.age is None else row.age)
            assert texts["source"][columns["source"][number]] == row.source
            assert texts["sex"][columns["sex"][number]] == row.sex
            assert texts["container/format"][columns["container/format"][number]] == row.header.format
            assert ("train", "validation", "test")[columns["split"][number]] == row.split
            assert texts["laterality"][columns["laterality"][number]] == row.laterality
            assert tuple(file.findings[number].tolist()) == row.findings
            assert row.kept is not None
            ward, dose = row.kept
            assert file.texts("ward")[number] == ward
            np.testing.assert_equal(file.numbers("dose")[number], np.nan if dose is None else dose)
        assert set(columns["bound_split"].tolist()) == {-1}
        assert file.content.engine == "stub"
        assert "numpy" in file.content.versions

"""The split before there are features is the one that stage two makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cxrfeat.feature.bound import split_before
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.look import look_and_group
from cxrfeat.feature.parting import part_images
from cxrfeat.image.index import index_folder
from cxrfeat.image.split import NO_PART
from cxrfeat.spec import SplitSpec
from tests.feature.images import break_image, extract, make_copies


def test_it_is_that_of_stage_two_and_leaves_out_what_cannot_be_used(tmp_path: Path) -> None:
    make_copies(tmp_path / "data")
    break_image(tmp_path / "data" / "B" / "image11.png")
    manifest = index_folder(tmp_path / "data")
    groups, usable = look_and_group(manifest)
    for spec, seed in ((None, 4), (SplitSpec(seed=2), 0)):
        found = split_before(manifest, groups, usable, spec, seed)
        assert found.parts[~usable].tolist() == [NO_PART]
        (made,) = extract(tmp_path / "data", tmp_path / "f")
        with FeatureFile(made.path) as file:
            later = part_images(file, by="group", seed=spec.seed if spec else seed)
        np.testing.assert_array_equal(found.parts[usable], later.parts)


def test_where_the_data_bring_a_split_it_is_taken(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_copies(data)
    paths = sorted(path.relative_to(data).as_posix() for path in data.glob("*/*.*"))
    lines = [f"{path},{path[0]},{('train', 'test')[number % 5 == 0]}" for number, path in enumerate(paths)]
    (data / "metadata.csv").write_text("\n".join(["image,label,split", *lines]) + "\n")
    manifest = index_folder(data)
    groups, usable = look_and_group(manifest)
    found = split_before(manifest, groups, usable, None, 0)
    assert (found.parts == "test").tolist() == [row.split == "test" for row in manifest.rows]

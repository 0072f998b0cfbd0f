from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import InputError
from cxrfeat.explaining.images import images_of_test
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import find_masks
from cxrfeat.image.row import Selection
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.reporting.picture import png, reduced
from cxrfeat.run.folder import Run
from cxrfeat.spec import ViewSpec
from cxrfeat.view.prepare import Wanted, prepare_content
from cxrfeat.workflow.explain import activation_maps, explain, top_patches
from tests.explaining.chests import graph_with, image_of, runs_of
from tests.run.reading import cells


def test_swapped_class_folders_are_told(chest_run: Run, chests: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = index_folder(chests)
    images_of_test(chest_run, manifest, {}, None)
    assert "another class" not in caplog.text
    other = dict(zip(manifest.classes, reversed(manifest.classes), strict=True))
    swapped = replace(manifest, rows=tuple(replace(row, label=other[row.label]) for row in manifest.rows))
    images_of_test(chest_run, swapped, {}, None)
    assert f"that tested {chest_run.name} have another class in this folder than then" in caplog.text


@pytest.mark.slow
def test_a_run_on_shuffled_images_is_refused(chests: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(chests, tiny_network, tmp_path, "logreg", view=ViewSpec(size=32, shuffle=4))[0]
    with pytest.raises(InputError, match="a place in the view is not a place in the image"):
        explain(run, [image_of(chests)])


@pytest.mark.slow
def test_a_folder_that_has_grown_still_holds_the_runs_masks(chests: Path, tiny_network: Path, tmp_path: Path) -> None:
    grown = Path(shutil.copytree(chests, tmp_path / "grown"))
    run = runs_of(grown, tiny_network, tmp_path, "logreg", view=ViewSpec(size=32, mask="lungs"))[0]
    image = image_of(grown)
    with Image.open(image) as picture:
        Image.fromarray(255 - np.asarray(picture.convert("L"))).save(image.with_name("new.png"))
    table = (grown / "metadata.csv").read_text().splitlines()
    (row,) = (line for line in table[1:] if image.relative_to(grown).as_posix() in line.split(","))
    new = image.with_name("new.png").relative_to(grown).as_posix()
    table.append(row.replace(image.relative_to(grown).as_posix(), new))
    (grown / "metadata.csv").write_text("\n".join(table) + "\n")
    mask = grown / next(cell for cell in row.split(",") if "/masks/" in cell)
    assert len(explain(run, data=grown, count=2).images) == 2
    with Image.open(mask) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mask)
    with pytest.raises(InputError, match="those in this folder are others"):
        explain(run, data=grown, count=2)


def test_data_that_are_not_the_runs_are_refused(chest_run: Run, chests: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "else", PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=2, size=64, seed=9))
    with pytest.raises(InputError, match="fitted on other data"):
        explain(chest_run, data=tmp_path / "else")
    tested = {
        sha
        for sha, part in zip(
            cells(chest_run, "split.csv")["content_sha256"], cells(chest_run, "split.csv")["part"], strict=True
        )
        if part == "test"
    }
    rest = Path(shutil.copytree(chests, tmp_path / "rest"))
    (rest / "metadata.csv").unlink()
    gone = [path for path in rest.glob("*/images/*") if sha256(path.read_bytes()).hexdigest() in tested]
    for path in gone[1:]:
        path.unlink()
    found = explain(chest_run, data=rest, count=3)
    assert len(found.images) == 1
    assert any(f"of the {len(tested)} images that tested the run are not in this folder" in one for one in found.notes)
    gone[0].unlink()
    with pytest.raises(InputError, match=r"images that .* was trained on and none that it was tested on"):
        explain(chest_run, data=rest)


@pytest.mark.slow
def test_a_run_on_masked_images_takes_its_own_masks(chests: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(chests, tiny_network, tmp_path, "logreg", view=ViewSpec(size=32, mask="lungs"))[0]
    found = explain(run, data=chests, count=2)
    assert len(found.images) == 2
    with pytest.raises(InputError, match=r"with the lung masks of its data, and single images have none.*`data`"):
        explain(run, [image_of(chests)])
    part = Selection(limit=15, seed=3)
    assert len(explain(run, data=chests, count=2, selection=part).images) == 2
    graph = graph_with(run, tiny_network)
    patches = top_patches(run, graph.layers[0], [0], chests, top=2, selection=part)
    assert len(patches.units[0]) == 2
    with pytest.raises(InputError, match=r"single images have none.*`data`"):
        activation_maps(run, image_of(chests), graph.layers[0])
    maps = activation_maps(run, image_of(chests), graph.layers[0], data=chests).maps
    plain = replace(graph.spec.view, count=1)
    masked = prepare_content(
        image_of(chests).read_bytes(), "0" * 64, Wanted(views=(plain,)),
        find_masks(index_folder(chests).rows, chests)[sha256(image_of(chests).read_bytes()).hexdigest()],
    ).of(plain)  # fmt: skip
    np.testing.assert_allclose(maps, graph.layer(graph.layers[0]).run(masked), atol=1e-5)
    (tmp_path / "strange.png").write_bytes(png(reduced(decode(image_of(chests).read_bytes()), 40)))
    with pytest.raises(InputError, match=r"strange.png is not in .*where its mask is looked for"):
        activation_maps(run, tmp_path / "strange.png", graph.layers[0], data=chests)
    other = Path(shutil.copytree(chests, tmp_path / "other", ignore=shutil.ignore_patterns("masks")))
    (other / "metadata.csv").unlink()
    with pytest.raises(InputError, match="those in this folder are others"):
        explain(run, data=other)

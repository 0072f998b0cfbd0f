from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.explaining import ready
from cxrfeat.explaining.images import Candidate
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import template
from cxrfeat.image.row import Quarantined
from cxrfeat.run.folder import Run
from cxrfeat.spec import ViewSpec
from cxrfeat.view import stream as streaming
from cxrfeat.view.prepare import Wanted, prepare_content
from cxrfeat.workflow.explain import explain
from tests.explaining.chests import image_of


def test_without_a_mask_the_template_stands_in(chest_run: Run, chests: Path) -> None:
    (one,) = explain(chest_run, [image_of(chests)]).images
    assert not one.masked
    np.testing.assert_array_equal(one.lungs, template((64, 64)))


@pytest.mark.slow
def test_a_bad_mask_is_named_and_the_template_judges_its_image(chest_run: Run, chests: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(chests, tmp_path / "other"))
    tested = sorted(explain(chest_run, data=other).images, key=lambda one: one.image)
    name = tested[0].image
    row = next(row for row in index_folder(other).rows if row.path == name)
    (other / str(row.mask)).write_bytes(b"")
    found = explain(chest_run, data=other)
    assert any(
        note.startswith("1 of ")
        and f"that of {name!r} (the file is empty). Heat there is judged by a template." in note
        for note in found.notes
    )
    assert sum(not one.masked for one in found.images) == sum(not one.masked for one in tested) + 1


def test_images_come_in_the_order_in_which_they_are_named_and_the_bad_ones_too(chests: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    paths = [*sorted(chests.glob("*/images/*"))[: ready.TOGETHER + 3], tmp_path / "cut.png"]
    images = [Candidate(name=path.name, path=path) for path in paths]
    counted: list[tuple[int, int]] = []
    view = ViewSpec(size=32, count=2)
    parts = list(ready.readied(images, view, lambda done, total: counted.append((done, total))))
    found = [one for part in parts for one in part]
    assert counted[-1] == (len(paths), len(paths))
    assert [one.candidate.name for one in found if isinstance(one, ready.Ready)] == [path.name for path in paths[:-1]]
    assert isinstance(found[-1], Quarantined)
    assert found[-1].path == "cut.png"
    for one in found[:-1]:
        assert isinstance(one, ready.Ready)
        content = one.candidate.path.read_bytes()
        np.testing.assert_array_equal(
            one.views, prepare_content(content, sha256(content).hexdigest(), Wanted(views=(view,))).of(view)
        )
        assert one.size == (64, 64) or min(one.size) > 32
    assert list(ready.readied([], view)) == []


def test_processes_may_prepare_many_images(chests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, known = [Candidate(name="x", path=image_of(chests))] * 3, list[int]()

    def pay(images: int, wanted: Wanted, workers: int) -> bool:
        known.append(images)
        return False

    monkeypatch.setattr(streaming, "processes_pay", pay)
    assert len(next(ready.readied(images, ViewSpec(size=32, count=1)))) == 3
    assert known == [3], "whether they pay depends on how many images there are"


def test_a_file_that_changed_since_the_folder_was_read_is_set_aside(chests: Path) -> None:
    image = Candidate(name="x", path=image_of(chests), sha256="0" * 64)
    with pytest.raises(InputError, match=r"cannot be used \(open: the file changed during the run\)\. Choose"):
        ready.ready_image(image, ViewSpec(size=32, count=1))


def test_an_image_that_is_gone_when_it_is_drawn_is_said(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"cut.png' changed during the run \(.*\)\. Run it again"):
        ready.pixels_of(tmp_path / "cut.png")

"""The stream of prepared images: the same for any number of workers, in order, bounded, and one bad file alone."""

from __future__ import annotations

import pickle
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrfeat.errors import BadImageError
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import find_masks, fitted, masks_digest, read_mask, template
from cxrfeat.spec import ViewSpec
from cxrfeat.view import stream as streaming
from cxrfeat.view.apply import drawn
from cxrfeat.view.draw import draw, view_rng
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted, image_files
from cxrfeat.view.stream import Outcome, stream, usable, views_of

PLAIN, SEVERAL = ViewSpec(size=32, count=1), ViewSpec(size=40, count=3, seed=2)


@pytest.fixture(scope="module")
def files(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> list[ImageFile]:
    """Phantoms; one is damaged, one was changed since it was read, and one is gone."""
    data = Path(shutil.copytree(phantoms, tmp_path_factory.mktemp("stream") / "data"))
    manifest = index_folder(data)
    rows = manifest.rows
    (data / rows[1].path).write_bytes(b"no image")
    (data / rows[4].path).unlink()
    given = image_files(rows, data, find_masks(rows, data))
    return [replace(one, content_sha256=None) if number == 1 else one for number, one in enumerate(given)]


def summed(one: Outcome) -> tuple[object, ...]:
    """All that is said of a file, to be compared."""
    if isinstance(one, BadImageError):
        return one.stage, one.reason
    views = [(spec, views.tobytes()) for spec, views in one.views.items()]
    return one.content_sha256, one.shape, views, None if one.look is None else one.look.pixel_digest


@pytest.mark.slow
@settings(max_examples=15)
@given(workers=st.integers(1, 6), ahead=st.integers(1, 9), together=st.integers(1, 7))
def test_the_same_comes_from_any_number_of_workers(
    files: list[ImageFile], workers: int, ahead: int, together: int
) -> None:
    wanted = Wanted(views=(PLAIN, SEVERAL), look=True)
    with stream(files, wanted, ahead=1, workers=1) as images:
        one_by_one = [summed(one) for one in images]
    with stream(files, wanted, ahead=ahead, workers=workers) as images:
        found = []
        while some := images.take(together):
            found += [summed(one) for one in some]
    assert found == one_by_one
    assert len(found) == len(files)


def test_a_bad_file_is_told_in_its_place_and_ends_nothing(files: list[ImageFile]) -> None:
    with stream(files, Wanted(views=(PLAIN,))) as images:
        found = list(images)
    bad = {number: one for number, one in enumerate(found) if isinstance(one, BadImageError)}
    assert bad.keys() == {1, 4}
    assert bad[4].stage == "open"
    for number, (file, one) in enumerate(zip(files, found, strict=True)):
        if isinstance(one, Prepared):
            assert one.content_sha256 == file.content_sha256
        else:
            with pytest.raises(BadImageError):
                usable(one)
            assert views_of(one, PLAIN) is one, number


def test_a_file_that_changed_since_it_was_read_is_none(files: list[ImageFile]) -> None:
    other = replace(files[0], content_sha256="0" * 64)
    with stream([other], Wanted(look=True)) as images, pytest.raises(BadImageError, match="changed during the run"):
        usable(next(images))


@settings(max_examples=15)
@given(ahead=st.integers(1, 9), workers=st.integers(1, 4), together=st.integers(1, 5))
def test_no_more_images_are_in_memory_than_may_be(ahead: int, workers: int, together: int) -> None:
    here = most = 0
    lock = threading.Lock()

    class Counted(Prepared):
        """An image that tells when it is let go."""

        def __del__(self) -> None:
            nonlocal here
            with lock:
                here -= 1

    def prepare(file: ImageFile, wanted: Wanted) -> Prepared:
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        return Counted(content_sha256=str(file.path), shape=(1, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "prepare", prepare)
        files = (ImageFile(path=Path(str(number))) for number in range(60))
        with stream(files, Wanted(), ahead=ahead, workers=workers) as images:
            while some := images.take(together):
                del some
        assert most <= ahead + together
        assert here <= 1, "the last may still stand in a frame"


def test_files_are_asked_for_no_sooner_than_needed(files: list[ImageFile]) -> None:
    asked = []

    def one_by_one() -> Iterator[ImageFile]:
        for file in files:
            asked.append(file)
            yield file

    with stream(one_by_one(), Wanted(), ahead=2) as images:
        assert len(asked) == 2
        next(images)
        assert len(asked) == 3


def test_what_is_no_bad_image_is_raised_and_leaves_no_thread(
    files: list[ImageFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(file: ImageFile, wanted: Wanted) -> Prepared:
        raise MemoryError("of the machine")

    monkeypatch.setattr(streaming, "prepare", prepare)
    with pytest.raises(MemoryError, match="of the machine"), stream(files, Wanted()) as images:
        list(images)
    assert not [one for one in threading.enumerate() if one.name.startswith("ahead")]


def test_only_what_is_wanted_is_made(files: list[ImageFile]) -> None:
    with stream(files[:1], Wanted()) as images:
        bare = usable(next(images))
    assert (bare.views, bare.look, bare.lungs, bare.copy, bare.drawn) == ({}, None, None, None, None)
    with stream(files[:1], Wanted(look=True)) as images:
        seen = usable(next(images))
    assert seen.look is not None
    assert (seen.views, seen.lungs, seen.copy, seen.drawn) == ({}, None, None, None)


def test_lungs_are_those_of_the_mask_or_the_template(files: list[ImageFile]) -> None:
    file = files[0]
    assert file.mask is not None
    with stream([file, replace(file, mask=None)], Wanted(lungs=(16, 24))) as images:
        own, none = (usable(one) for one in images)
    assert own.masked
    np.testing.assert_array_equal(own.lungs, fitted(read_mask(file.mask, own.shape), (16, 24)))
    assert not none.masked
    np.testing.assert_array_equal(none.lungs, template((16, 24)))


def test_a_mask_is_given_to_the_description_that_names_it(files: list[ImageFile]) -> None:
    masks = {one.content_sha256: one.mask for one in files if one.content_sha256 and one.mask}
    lungs = replace(PLAIN, mask="lungs", masks=masks_digest(masks))
    bare = replace(files[0], mask=None)
    with stream([files[0], bare], Wanted(views=(PLAIN, lungs))) as images:
        own, without = list(images)
    assert isinstance(views_of(own, lungs), np.ndarray)
    assert isinstance(views_of(without, lungs), BadImageError)
    assert isinstance(views_of(without, PLAIN), np.ndarray), "a mask costs no view that needs none"
    with stream([bare], Wanted(views=(lungs,), stand_in=True)) as images:
        assert isinstance(views_of(next(images), lungs), np.ndarray)


def test_views_are_drawn_from_a_copy_that_is_there_as_from_one_that_is_made(files: list[ImageFile]) -> None:
    file = files[0]
    wanted = Wanted(copy=SEVERAL, drawn=(1, 7))
    with stream([file], wanted) as images:
        made = usable(next(images))
    assert made.copy is not None
    with stream([replace(file, path=Path("nowhere"), copy=made.copy)], wanted) as images:
        again = usable(next(images))
    assert again.copy is made.copy, "the file was not read"
    np.testing.assert_array_equal(again.drawn, made.drawn)
    assert file.content_sha256 is not None
    params = [draw(SEVERAL, view_rng(SEVERAL.seed, file.content_sha256, number)) for number in (1, 7)]
    np.testing.assert_array_equal(made.drawn, drawn(SEVERAL, made.copy, params))


def test_what_goes_to_a_worker_and_comes_back_can_pass_to_another_process(files: list[ImageFile]) -> None:
    wanted = Wanted(views=(PLAIN,), look=True, lungs=(8, 8), copy=SEVERAL, drawn=(3,))
    assert pickle.loads(pickle.dumps(wanted)) == wanted
    with stream(files, wanted) as images:
        for file, one in zip(files, images, strict=True):
            assert pickle.loads(pickle.dumps(file)).path == file.path
            assert summed(pickle.loads(pickle.dumps(one))) == summed(one)


def test_the_same_comes_from_processes_bad_files_and_masks_too(files: list[ImageFile]) -> None:
    masked, tables = replace(PLAIN, mask="lungs"), replace(PLAIN, count=4)
    wanted = Wanted(
        views=(SEVERAL, masked, tables),
        undrawn=(tables,),
        look=True,
        lungs=(8, 8),
        copy=PLAIN,
        drawn=(1, 2),
    )
    with stream(files, wanted, workers=2, processes=False) as images:
        here = list(images)
        assert images.workers == "2 threads"
    with stream(files, wanted, workers=2, processes=True) as images:
        there = list(images)
        assert images.workers == "2 processes"
    assert sum(isinstance(one, BadImageError) for one in here) >= 2
    for one, other in zip(here, there, strict=True):
        assert summed(one) == summed(other)
        if isinstance(one, Prepared) and isinstance(other, Prepared):
            assert [(spec, str(error)) for spec, error in one.failures.items()] == [
                (spec, str(error)) for spec, error in other.failures.items()
            ]
            assert pickle.dumps(one.undrawn) == pickle.dumps(other.undrawn)
            for mine, its in ((one.copy, other.copy), (one.drawn, other.drawn), (one.lungs, other.lungs)):
                assert (mine is None) == (its is None)
                assert mine is None or its is None or np.array_equal(mine, its)


@pytest.mark.parametrize(
    ("images", "views", "workers", "pay"),
    [
        (100_000, 8, 2, False),  # threads do as well
        (400, 8, 4, True),
        (100_000, 8, 16, True),
        (100, 8, 16, False),  # done before the last process had started
        (2000, 1, 4, True),
        (0, 8, 16, False),  # nobody knows how many
    ],
)
def test_processes_are_for_many_images_and_cores(images: int, views: int, workers: int, pay: bool) -> None:
    wanted = Wanted(views=(ViewSpec(size=32, count=views),), look=True)
    assert streaming.processes_pay(images, wanted, workers) is pay

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.errors import InputError, IntegrityError, StaleFeaturesError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.finetuning.basis import check_backbone, file_of_head, masks_of, rows_of, split_of_head
from cxrfeat.image.mask import NO_MASKS
from cxrfeat.image.row import Header, ImageRow, Manifest
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.workflow.helpers import make_features

HEADER = Header(format="PNG", suffix=".png", width=64, height=64, bits=8, mode="L", file_bytes=99)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FeatureFile]:
    with FeatureFile(make_features(tmp_path / "features" / "set-tiny-00000000.h5")) as file:
        yield file


@pytest.fixture
def head(file: FeatureFile, tmp_path: Path) -> Run:
    return fit(file.path, [HeadSpec(kind="ridge")], runs=tmp_path / "runs").runs[0]


def images(file: FeatureFile) -> Manifest:
    """The images of a file, in another order."""
    rows = [
        ImageRow(path=f"{index}.png", label=file.classes[label], content_sha256=sha, header=HEADER)
        for index, (sha, label) in enumerate(zip(file.content_sha256, file.labels, strict=True))
    ]
    return Manifest(dataset="set", root=Path("data"), classes=file.classes, rows=tuple(reversed(rows)))


def test_the_images_of_a_file_are_found_in_its_order(file: FeatureFile) -> None:
    assert [row.path for row in rows_of(file, images(file))] == [f"{index}.png" for index in range(file.images)]
    assert masks_of(file, images(file)) is NO_MASKS


def test_images_that_are_gone_or_have_another_label_are_refused(file: FeatureFile) -> None:
    whole = images(file)
    with pytest.raises(InputError, match=rf"data lacks 2 of the {file.images} images of {file.path.name}"):
        rows_of(file, replace(whole, rows=whole.rows[2:]))
    other = replace(whole.rows[0], label=file.classes[0])
    with pytest.raises(StaleFeaturesError, match=rf"1 images have another label .*{whole.rows[0].path}"):
        rows_of(file, replace(whole, rows=(other, *whole.rows[1:])))


def test_the_network_is_that_of_the_features(file: FeatureFile) -> None:
    check_backbone(file.content.backbone, file, None)
    with pytest.raises(StaleFeaturesError, match=rf"those of {file.content.backbone}, not of vgg16"):
        check_backbone("vgg16", file, None)


def test_a_head_leads_to_its_features_and_its_split(head: Run, file: FeatureFile, tmp_path: Path) -> None:
    path = file.path.rename(file.path.with_name(f"set-tiny-{file.fingerprint[:8]}.h5"))
    assert file_of_head(head, path.parent) == path
    assert split_of_head(head, file).record == head.document.split
    with pytest.raises(InputError, match=r"no longer holds the features that .* was fitted on"):
        file_of_head(head, tmp_path / "nowhere")
    with (
        FeatureFile(make_features(tmp_path / "other.h5", seed=1)) as other,
        pytest.raises(IntegrityError, match=r"split.csv is not the split of other.h5"),
    ):
        split_of_head(head, other)


def test_a_head_that_has_seen_every_image_is_no_beginning(head: Run, file: FeatureFile, tmp_path: Path) -> None:
    folds = fit(file.path, [HeadSpec(kind="ridge")], fold_count=3, runs=tmp_path / "runs").runs[0]
    with pytest.raises(UsageError, match=r"fitted on all images.*Fit one without `fold_count`"):
        file_of_head(folds, file.path.parent)

"""Real X-rays written as DICOM, and what a real network and a fitted head say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

import cxrfeat
from cxrfeat.image.row import Selection
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.image.dicom.test_image import as_bytes, real_images, ways

pytestmark = [pytest.mark.weights, pytest.mark.slow]

EACH = 3
"""Of the 23 ways that lose nothing, so many for each image, in turn: each way has 15 or 16 of the 120 images."""


def test_real_images_as_dicom_are_predicted_as_they_were(shared: Path, tmp_path: Path) -> None:
    network = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not network.is_file():
        pytest.skip(f"{network} is not here")
    made = cxrfeat.extract(
        shared / "data" / "cxr299", backbone=str(network), preprocess="tf", views=1, selection=Selection(limit=60),
        features=tmp_path / "features",
    )  # fmt: skip
    run = fit(made.files[0].path, [HeadSpec(kind="logreg")], runs=tmp_path / "runs").runs[0]
    images = real_images(shared)
    written: dict[Path, Path] = {}
    names = set()
    for number, image in enumerate(images):
        lossless = [
            (name, write) for name, write in ways(as_bytes(image)) if not name.startswith("JPEG of") and name != "JPEG"
        ]
        for turn in range(EACH):
            name, write = lossless[(EACH * number + turn) % len(lossless)]
            path = tmp_path / "dicom" / f"{number:03d}-{turn}.dcm"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(write())
            written[path] = image
            names.add(name)
    assert len(names) == 23
    told = {
        each.image: each.probabilities
        for each in cxrfeat.predict(run, [*images, *written], network=network, features=tmp_path).predictions
    }
    apart = {
        path: max(abs(told[str(path)][label] - told[str(image)][label]) for label in told[str(image)])
        for path, image in written.items()
    }
    assert len(apart) == 360
    assert max(apart.values()) <= 1e-4

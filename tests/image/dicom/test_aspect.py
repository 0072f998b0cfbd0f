from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import probe
from cxrfeat.image.decode import decode
from cxrfeat.image.dicom.aspect import square_size, squared
from tests.dicoms import dicom

Y, X = np.mgrid[:60, :80]
RAMP = (X * 3).astype(np.uint8)


@pytest.mark.parametrize(
    ("tags", "size"),
    [
        ({}, (60, 80)),
        ({"PixelSpacing": ["0.2", "0.1"]}, (120, 80)),
        ({"ImagerPixelSpacing": ["0.1", "0.2"]}, (60, 160)),
        ({"NominalScannedPixelSpacing": ["0.3", "0.2"]}, (90, 80)),
        ({"PixelAspectRatio": ["3", "2"]}, (90, 80)),
        ({"PixelAspectRatio": ["3", "2"], "ImagerPixelSpacing": ["0.1", "0.1"]}, (60, 80)),  # a distance goes before
        ({"PixelSpacing": ["0.1431", "0.143"]}, (60, 80)),  # nobody sees that
        ({"PixelSpacing": ["0", "0.143"], "ImagerPixelSpacing": ["0.2", "0.1"]}, (120, 80)),  # no distance
        ({"PixelSpacing": ["0.2"]}, (60, 80)),
    ],
)
def test_pixels_become_square(tags: dict[str, Any], size: tuple[int, int]) -> None:
    content = dicom(RAMP, **tags)
    header, grey = probe(content, ".dcm"), decode(content)
    assert grey.shape == size == (header.height, header.width)
    assert grey.dtype == np.uint8
    assert abs(float(grey.mean()) - RAMP.mean()) < 1


def test_pixels_that_are_bars_are_refused() -> None:
    with pytest.raises(BadImageError, match="four times as long"):
        probe(dicom(RAMP, PixelSpacing=["0.5", "0.1"]), ".dcm")


def test_deep_images_stay_deep() -> None:
    grey = (RAMP / 7).astype(np.float32)
    made = squared(grey, (2.0, 1.0))
    assert made.shape == (120, 80)
    assert made.dtype == np.float32
    assert squared(grey, None) is grey
    assert square_size(10, 20, None) == (10, 20)

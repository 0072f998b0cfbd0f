from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.image.dicom import grey
from cxrfeat.image.dicom.grey import LINEAR, Shown, Window, grey_of
from cxrfeat.system.compiled import Compiled
from tests.image.dicom.test_grey import LAYOUT


@pytest.mark.parametrize(("words", "stored"), [("uint16", 12), ("uint16", 8), ("uint8", 8)])
def test_compiled_loops_give_the_same_bits(words: str, stored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    kernel = Compiled("cxrfeat.image.dicom.kernel")
    image = np.random.default_rng(1).integers(0, 2**stored, (50, 61)).astype(words)
    layout = replace(LAYOUT, allocated=8 * image.itemsize, stored=stored, high=stored - 1)
    shown = Shown(windows=(Window(100, 300, LINEAR),), photometric="MONOCHROME1", padding=(3, 4))
    plain = grey_of(image, layout, shown)
    kernel.load()
    monkeypatch.setattr(grey, "KERNEL", kernel)
    compiled = grey_of(image, layout, shown)
    assert compiled.dtype == plain.dtype
    np.testing.assert_array_equal(compiled, plain)

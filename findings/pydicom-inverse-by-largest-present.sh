#!/usr/bin/env bash
# pydicom 3.0.2's `apply_presentation_lut` turns an image of Presentation LUT Shape INVERSE (each MONOCHROME1 DX file has
# it) round by subtracting from the largest value that is *present*, not from the largest that its bits can hold. So one
# bright pixel, such as a marker of lead, moves every other pixel of the image.
#
# Seen on 2026-11-28 with Python 3.11 and NumPy 2.4.6 (x86-64 Linux): of an image of 12 bits with values to 1000, all
# pixels but one move by 3095 when that one becomes 4095. By PS3.3, C.11.6.1.2, INVERSE is the inverse of IDENTITY over
# the whole range. This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install pydicom==3.0.2 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import numpy as np
import pydicom
from pydicom.pixels.processing import apply_presentation_lut

print("pydicom", pydicom.__version__)
dataset = pydicom.Dataset()
dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "MONOCHROME1", "INVERSE"
dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
plain = np.arange(1001, dtype=np.uint16)
marked = plain.copy()
marked[0] = 4095
without, with_one = (apply_presentation_lut(image, dataset).astype(int) for image in (plain, marked))
apart = np.abs(with_one - without)[1:]
print("the largest pixel is", plain.max(), "->", without[1000], "; with one pixel of 4095 it is", with_one[1000])
print(f"{(apart > 0).sum()} of {len(apart)} other pixels move, by {apart.max()}")
assert (without == 1000 - plain).all() and (apart == 3095).all(), "the behaviour changed"
print("as described")
P

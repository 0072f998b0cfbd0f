#!/usr/bin/env bash
# pydicom 3.0.2's `apply_voi_lut` looks up `value mod 256` in a VOI LUT whose entries have 8 bits, whatever the length of
# the table, and says nothing. The usual table from 12 to 8 bits has 4096 entries, each in a word of 16 bits, so nearly
# every grey value is wrong.
#
# Seen on 2026-11-28 with Python 3.11 and NumPy 2.4.6 (x86-64 Linux): 3,840 of 4,096 grey values wrong, by up to 240
# levels of 255; with entries of 12 bits none is. By the standard (PS3.3, C.11.2.1.1) the value itself is looked up, from
# the first mapped value on. This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install pydicom==3.0.2 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import warnings

import numpy as np
import pydicom
from pydicom.pixels import apply_voi_lut

warnings.simplefilter("error")
print("pydicom", pydicom.__version__)
values = np.arange(4096, dtype=np.uint16)
wrong = {}
for bits in (8, 12):
    table = np.rint(np.linspace(0, 2**bits - 1, 4096)).astype(np.uint16)
    item = pydicom.Dataset()
    item.LUTDescriptor = [4096, 0, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = table.tobytes()
    item["LUTData"].VR = "OW"
    dataset = pydicom.Dataset()
    dataset.VOILUTSequence = [item]
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    found = apply_voi_lut(values, dataset).astype(int)
    wrong[bits] = int((found != table).sum())
    print(f"{bits:2} bits an entry: {wrong[bits]} of 4096 grey values wrong, by up to {np.abs(found - table).max()}")
    if bits == 8:
        assert (found == table[values % 256]).all(), "it looks up something else"
assert wrong[8] > 3800 and wrong[12] == 0, "the behaviour changed"
print("as described")
P

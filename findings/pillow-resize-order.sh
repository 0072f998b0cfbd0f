#!/usr/bin/env bash
# Pillow 13.0.0 resizes the same tall image to other pixels than 12.3.0: it resamples its columns before its rows, and
# 8-bit pixels are rounded in between. So features of one image differ with the version that is installed.
#
# Seen on 2026-11-27 with Python 3.11 and NumPy 2.4.6 (x86-64 Linux): of a 400 x 230 image (height x width) resized to
# 224 x 224 (BILINEAR) 12.6 % of the pixels differ, by one level; square and wide images are the same. Two calls, one for
# each direction, give the bits of 12.3.0 with both.
#
# The change: https://github.com/python-pillow/Pillow/pull/9549. This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; pip="$work/venv/bin/python -m pip --quiet --disable-pip-version-check"
$pip install numpy==2.4.6
for version in 12.3.0 13.0.0; do $pip install --no-deps --target "$work/$version" "pillow==$version"; done
cat > "$work/resize.py" <<'P'
import sys
import numpy as np
import PIL
from PIL import Image

B, SIDE = Image.Resampling.BILINEAR, 224
made = {}
for name, (height, width) in {"tall": (400, 230), "square": (400, 400), "wide": (230, 400)}.items():
    y, x = np.mgrid[:height, :width]
    image = Image.fromarray(((x * x * 7 + y * y * 13 + x * y * 5) // 64 % 256).astype(np.uint8))
    made[f"{name}, one call"] = np.asarray(image.resize((SIDE, SIDE), B))
    made[f"{name}, two calls"] = np.asarray(image.resize((SIDE, height), B).resize((SIDE, SIDE), B))
np.savez(sys.argv[1], **made)
print("made with Pillow", PIL.__version__)
P
for version in 12.3.0 13.0.0; do PYTHONPATH="$work/$version" "$work/venv/bin/python" "$work/resize.py" "$work/$version.npz"; done
"$work/venv/bin/python" - "$work/12.3.0.npz" "$work/13.0.0.npz" <<'P'
import sys
import numpy as np

old, new = (np.load(path) for path in sys.argv[1:])
for name in old.files:
    apart = np.abs(old[name].astype(int) - new[name])
    print(f"{name:18} {(apart > 0).mean():6.1%} of the pixels differ, by {apart.max()} at most")
    one = name.split(",")[0]
    assert (old[f"{one}, one call"] == old[f"{one}, two calls"]).all(), "12.3.0 resamples rows first"
    expected = name == "tall, one call"
    assert (apart.max() == 1 and (apart > 0).mean() > 0.1) if expected else apart.max() == 0, "the behaviour changed"
print("as described")
P

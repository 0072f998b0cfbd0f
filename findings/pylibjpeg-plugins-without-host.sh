#!/usr/bin/env bash
# pydicom reaches the decoders `pylibjpeg-openjpeg` and `pylibjpeg-rle` through the package `pylibjpeg`, on which neither
# of them depends. Installed without it they are not found: JPEG 2000 is refused ("missing dependencies"), and RLE is
# decoded by pydicom's own Python code, ten times and more as slowly, without a word.
#
# Seen on 2026-11-28 with Python 3.11 (x86-64 Linux): pydicom 3.0.2, pylibjpeg-openjpeg 2.6.0, pylibjpeg-rle 2.2.0; with
# pylibjpeg 2.1.0 beside them both work. This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; pip="$work/venv/bin/python -m pip --quiet --disable-pip-version-check install"
$pip pydicom==3.0.2 numpy==2.4.6 pylibjpeg-openjpeg==2.6.0 pylibjpeg-rle==2.2.0
cat > "$work/look.py" <<'P'
from pydicom.pixels.decoders import JPEG2000LosslessDecoder, RLELosslessDecoder

print("JPEG 2000:", JPEG2000LosslessDecoder.is_available, JPEG2000LosslessDecoder.available_plugins)
print("RLE:", RLELosslessDecoder.is_available, RLELosslessDecoder.available_plugins)
print("missing:", JPEG2000LosslessDecoder.missing_dependencies)
P
"$work/venv/bin/python" "$work/look.py" | tee "$work/without"
"$work/venv/bin/python" -m pip freeze | grep -i '^pylibjpeg'
grep -q "JPEG 2000: False" "$work/without"; grep -q "RLE: True ('pydicom',)" "$work/without"
$pip pylibjpeg==2.1.0
echo "with pylibjpeg:"; "$work/venv/bin/python" "$work/look.py" | tee "$work/with"
grep -q "JPEG 2000: True" "$work/with"; grep -q "RLE: True.*pylibjpeg" "$work/with"
echo "as described"

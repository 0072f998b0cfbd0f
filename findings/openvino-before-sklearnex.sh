#!/usr/bin/env bash
# A process that imports OpenVINO 2026.4.1 cannot import scikit-learn-intelex 2026.2.0 any more: each brings a oneTBB
# (2021.13 and 2023.2) as `libtbb.so.12`, and the loader takes whichever came first for both. Code that falls back to
# scikit-learn on an ImportError, as is usual, then trains SVMs some nine times slower and says nothing. The other order
# works, and so does loading the newer library before OpenVINO.
#
# Seen on 2026-11-28 with Python 3.11 (x86-64 Linux): "undefined symbol" in libonedal_thread.so.4. This script fails once
# the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; python="$work/venv/bin/python"
$python -m pip --quiet --disable-pip-version-check install \
  openvino==2026.4.1 scikit-learn-intelex==2026.2.0 scikit-learn==1.9.1 numpy==2.4.6 tbb==2023.2.0
cat > "$work/order.py" <<'P'
import ctypes
import importlib.metadata
import sys

sys.modules["openvino_telemetry"] = None  # so that it does not report to its makers
try:
    for one in sys.argv[1:]:
        if one == "tbb":
            file = next(file for file in importlib.metadata.files("tbb") if file.name == "libtbb.so.12")
            ctypes.CDLL(str(file.locate().resolve()), mode=ctypes.RTLD_GLOBAL)
        else:
            __import__(one)
    from sklearnex.svm import SVC

    print("imported,", SVC().fit([[0.0], [1.0]], [0, 1]).predict([[0.9]]))
except ImportError as error:
    print("ImportError:", str(error).rpartition("/")[2][:120])
P
wrong() { echo "the behaviour changed"; exit 1; }
for order in "sklearnex.svm openvino" "openvino sklearnex.svm" "tbb openvino sklearnex.svm"; do
  said=$($python "$work/order.py" $order 2>/dev/null)
  echo "$order: $said"
  case "$order" in
    openvino*) [[ "$said" == "ImportError: libonedal_thread"*"undefined symbol"* ]] || wrong ;;
    *) [[ "$said" == "imported, [1]" ]] || wrong ;;
  esac
done
echo "as described"

#!/usr/bin/env bash
# scikit-learn-intelex takes its number of threads from the limits of other libraries (OMP_NUM_THREADS and threadpoolctl),
# unless that number equals what joblib counts as cores. So a worker that is held to one core in both ways,
# OMP_NUM_THREADS=1 and LOKY_MAX_CPU_COUNT=1, has no limit at all: oneDAL uses every core that the process may run on,
# and its SVMs stop at slightly other solutions than with OMP_NUM_THREADS=1 alone. Setting `n_jobs=1` holds it.
#
# Seen on 2026-11-28 with Python 3.11, scikit-learn-intelex 2026.2.0 and scikit-learn 1.9.1 (x86-64 Linux, two cores).
# Needs two cores or more. This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; pip="$work/venv/bin/python -m pip --quiet --disable-pip-version-check"
$pip install scikit-learn-intelex==2026.2.0 scikit-learn==1.9.1
cat > "$work/fit.py" <<'P'
import importlib.metadata
import logging
import os
import sys

import numpy as np
from sklearnex.svm import SVC

said = []
logger = logging.getLogger("sklearnex")
logger.setLevel(logging.DEBUG)
logger.propagate = False
logger.addHandler(type("Keep", (logging.Handler,), {"emit": lambda self, record: said.append(record.getMessage())})())
rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 4)), np.arange(60) % 2
SVC(n_jobs=int(sys.argv[1]) if sys.argv[1:] else None).fit(X, y)
limits = [line.split("fit: ")[1] for line in said if "setting 1 threads" in line]
count = os.environ.get("LOKY_MAX_CPU_COUNT", "not set")
print(f"scikit-learn-intelex {importlib.metadata.version('scikit-learn-intelex')}: OMP_NUM_THREADS=1, "
      f"LOKY_MAX_CPU_COUNT {count}, n_jobs={sys.argv[1:] or None}: {limits or 'no limit is set'}")
sys.exit(0 if limits else 3)
P
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
[ "$(grep -c ^processor /proc/cpuinfo)" -ge 2 ] || { echo "this needs two cores"; exit 1; }
"$work/venv/bin/python" "$work/fit.py"
code=0; LOKY_MAX_CPU_COUNT=1 "$work/venv/bin/python" "$work/fit.py" || code=$?
[ "$code" = 3 ] || { echo "the behaviour changed"; exit 1; }
LOKY_MAX_CPU_COUNT=1 "$work/venv/bin/python" "$work/fit.py" 1
echo "as described"

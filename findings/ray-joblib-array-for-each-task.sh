#!/usr/bin/env bash
# joblib with Ray's backend (`ray.util.joblib.register_ray`, `parallel_config("ray")`): an array that all tasks are given
# is put into the cluster's memory anew for each task, though the backend keeps a list of what it has put. And once it
# was used, joblib's own "multiprocessing" backend works on Ray too, for the rest of the process: the base class of
# joblib's pool was replaced.
#
# Seen on 2026-11-28 with Python 3.11, Ray 2.60.0, joblib 1.6.0 and NumPy 2.4.6 (x86-64 Linux). This script fails once
# the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; pip="$work/venv/bin/python -m pip --quiet --disable-pip-version-check"
$pip install ray==2.60.0 joblib==1.6.0 numpy==2.4.6 grpcio==1.85.1
cat > "$work/put.py" <<'P'
import os
import sys
import threading
import time

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # its servers listen on loopback alone
os.environ["RAY_AUTH_TOKEN"], os.environ["RAY_USAGE_STATS_ENABLED"] = "0" * 64, "0"
import joblib  # noqa: E402
import numpy as np  # noqa: E402
import ray  # noqa: E402
from ray._private.internal_api import memory_summary  # noqa: E402
from ray.util.joblib import register_ray  # noqa: E402

TASKS, X = 6, np.ones((10, 125_000))


def work(array, number):
    """A second; the name of the process."""
    time.sleep(1)
    with open("/proc/self/cmdline") as told:
        return "Ray" if told.read().startswith("ray::") else "joblib"


def workers(backend, array):
    with joblib.parallel_config(backend, n_jobs=2):
        return set(joblib.Parallel(pre_dispatch="all")(joblib.delayed(work)(array, n) for n in range(TASKS)))


def held():
    """What lies in the cluster's memory and is about as large as the array."""
    rows = [[cell.strip() for cell in line.split("|")] for line in memory_summary(line_wrap=False).splitlines()]
    sizes = [(row[-1], row[6].removesuffix(" B")) for row in rows if len(row) > 8 and row[6].endswith(" B")]
    return {name for name, size in sizes if X.nbytes <= float(size) < 1.1 * X.nbytes}


ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
register_ray()
before, seen = workers("multiprocessing", 0), set()
working = threading.Thread(target=workers, args=("ray", X))
working.start()
while working.is_alive():
    seen |= held()
    time.sleep(0.1)
after = workers("multiprocessing", 0)
ray.shutdown()
print(f"Ray {ray.__version__}, joblib {joblib.__version__}, NumPy {np.__version__}")
print(f"one array of {X.nbytes / 1e6:.0f} MB given to {TASKS} tasks: {len(seen)} objects of its size")
print(f"the backend 'multiprocessing' works by processes of {before} before Ray's was used, of {after} afterwards")
assert len(seen) > 2, "the array is shared now"
assert (before, after) == ({"joblib"}, {"Ray"}), "joblib's own backend is left alone now"
P
"$work/venv/bin/python" "$work/put.py" "$work/r" 2> "$work/said" || { cat "$work/said"; exit 1; }
echo "as described"

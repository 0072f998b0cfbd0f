#!/usr/bin/env bash
# A Ray cluster that is told to be on 127.0.0.1 (`ray.init(_node_ip_address="127.0.0.1")`) listens on every interface:
# loopback addresses are replaced by the machine's own before anything is bound. What keeps its servers on loopback on
# Linux too is an environment variable that is named after, and documented for, Windows and macOS:
# RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0.
#
# Seen on 2026-11-28 with Python 3.11 and Ray 2.60.0 (x86-64 Linux). This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; pip="$work/venv/bin/python -m pip --quiet --disable-pip-version-check"
$pip install ray==2.60.0
cat > "$work/listen.py" <<'P'
import os
import sys
from pathlib import Path

LISTEN, LOOPBACK = "0A", ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
loopback = sys.argv[1] == "variable"
if loopback:
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # before Ray is imported
os.environ["RAY_AUTH_TOKEN"], os.environ["RAY_USAGE_STATS_ENABLED"] = "0" * 64, "0"
import ray  # noqa: E402


def listening() -> set[str]:
    """Addresses and ports, as the kernel writes them."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {line[1] for line in lines if line[3] == LISTEN}


before = listening()
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[2],
         **({} if loopback else {"_node_ip_address": "127.0.0.1"}))
mine = listening() - before
beyond = {one for one in mine if one.split(":")[0] not in LOOPBACK}
ray.shutdown()
how = "with the variable" if loopback else "with _node_ip_address=127.0.0.1"
print(f"Ray {ray.__version__} {how}: {len(mine)} ports, {len(beyond)} of them beyond loopback")
assert mine, "nothing listens?"
assert not beyond if loopback else len(beyond) > len(mine) / 2, "the behaviour changed"
P
for how in address variable; do "$work/venv/bin/python" "$work/listen.py" "$how" "$work/$how" 2> "$work/said" || { cat "$work/said"; exit 1; }; done
echo "as described"

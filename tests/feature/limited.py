"""Runs one extraction that may not write files over a size: `python -m tests.feature.limited DATA FEATURES [BYTES]`."""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

import cxrfeat.feature.plan as plan
from cxrfeat.errors import CxrFeatError
from tests.feature.images import extract


def main(data: str, features: str, limit: str = "0") -> int:
    plan.SHARD_VIEWS = 8
    if int(limit):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the system answers EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    try:
        extract(Path(data), Path(features), batch=4)
    except CxrFeatError as error:
        print(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

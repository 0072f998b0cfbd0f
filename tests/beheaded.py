"""Work on a cluster of its own that is brought down once something is done: `python -m tests.beheaded WHAT WHOM`.

`WHAT` is `heads`, or a folder of images beside which features are made; `WHOM` the process that is killed. In a process
of its own: of a cluster without a head Ray ends whoever uses it.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from cxrfeat.errors import CxrFeatError
from cxrfeat.feature import plan
from cxrfeat.feature.split import Fold
from cxrfeat.feature.task import Computing
from cxrfeat.head.parallel import Fitters, outcomes
from cxrfeat.spec import HeadSpec
from cxrfeat.system import cluster
from cxrfeat.system.cluster import ClusterSpec
from tests.feature.images import extract
from tests.head.blobs import NAMES, blobs
from tests.stub import StubEngine


class Killing:
    """As progress: kills once, when something is done."""

    def __init__(self, whom: str) -> None:
        self._whom = whom

    def __call__(self, what: str, done: int, total: int) -> None:
        del total
        if done < 2 or what.startswith(("loading", "reading")):
            return
        for process in psutil.Process().children(recursive=True):
            if process.name() == self._whom:
                process.kill()


def fit(kill: Killing) -> None:
    """Forty heads, one after the other."""
    X, y = blobs()[:2]
    none = np.arange(0)
    folds = [Fold(name=str(number), train=np.arange(len(y)), validation=none, test=none) for number in range(40)]
    with Fitters(ClusterSpec(workers=1), X) as fitters:
        specs = [HeadSpec(kind="dense", epochs=400)]
        for done, _ in enumerate(outcomes(specs, X, y, folds, NAMES[:3], fitters=fitters), 1):
            kill("heads", done, len(folds))


def main() -> int:
    """Do it; the exit code of what is said."""
    what, kill = sys.argv[1], Killing(sys.argv[2])
    cluster._PATIENCE = 3.0
    try:
        if what == "heads":
            fit(kill)
        else:
            plan._LEAST_VIEWS = 8
            data = Path(what)
            computing = Computing("stub", partial(StubEngine, pause=4.0), 4, ClusterSpec(workers=1))
            extract(data, data.parent / "f", computing=computing, progress=kill)
    except CxrFeatError as error:
        print(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How fast is a worker on a Ray cluster, next to the local runner with the same cores?

Both extract the same images with the same network in turn; loading and starting are apart (`views_per_second` of
`cxrfeat extract`). The cluster is one of this machine, with one worker that has all of its cores.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cxrfeat
from benchmarks.common import alternate, options, publish, scratch
from cxrfeat.system.cluster import ClusterSpec
from cxrfeat.system.process import threads

HEADER = "runner", "views/s", "of local"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of images")
    parser.add_argument("--backbone", default="densenet121", help="name of a network, or a path (default: densenet121)")
    parser.add_argument("--weights", default="random", help="of a named network (default: random)")
    parser.add_argument("--preprocess", help="of a network of your own")
    parser.add_argument("--engine", default="auto", help="engine (default: auto)")
    parser.add_argument("--views", type=int, default=4, help="views per image (default: 4)")
    parser.add_argument("--limit", type=int, help="images of each class")
    asked = parser.parse_args(arguments)
    with scratch() as folder:
        given: dict[str, Any] = {
            "backbone": asked.backbone,
            "engine": asked.engine,
            "views": asked.views,
            "selection": cxrfeat.Selection(limit=asked.limit),
        }
        given |= {"preprocess": asked.preprocess} if asked.preprocess else {"weights": asked.weights}
        files: dict[str, bytes] = {}

        def rate(runner: str, cluster: ClusterSpec | None) -> float:
            place = folder / "features"
            (made,) = cxrfeat.extract(asked.data, features=place, cluster=cluster, **given).files
            content = files.setdefault("first", made.path.read_bytes())
            if made.path.read_bytes() != content:
                sys.exit(f"{runner} made another file")
            shutil.rmtree(place)
            return made.views_per_second

        rate("converting", None)  # once, outside what is measured
        found = alternate(
            {"local": lambda: rate("local", None), "ray": lambda: rate("ray", ClusterSpec(workers=1))},
            repeats=asked.repeats,
            what=asked.backbone,
        )
    ratio = found["ray"].over(found["local"])
    lines = [["local", str(found["local"]), ""], ["ray, one worker", str(found["ray"]), str(ratio)]]
    rows = [{"runner": name, "views_per_second": spread.to_dict()} for name, spread in found.items()]
    rows[1]["of_local"] = ratio.to_dict()
    notes = [f"{threads()} cores; the files of both are the same, byte for byte."]
    return publish("cluster", arguments, HEADER, lines, rows=rows, notes=notes, place=asked.json)


if __name__ == "__main__":
    main()

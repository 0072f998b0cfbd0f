"""Makes the golden file of the present format version, once: `python -m tests.feature.make_golden`."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.feature.format import VERSION
from tests.feature.content import make_file


def main() -> None:
    path = Path(__file__).parents[1] / "data" / f"features-v{VERSION}.h5"
    if path.exists():
        raise SystemExit(f"{path} is there; golden files are never changed. Raise VERSION first.")
    path.parent.mkdir(exist_ok=True)
    print(make_file(path, images=4, views=3, dim=5, bound=True))


if __name__ == "__main__":
    main()

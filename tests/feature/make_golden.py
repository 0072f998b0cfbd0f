"""Makes the golden file of the present format version, once: `python -m tests.feature.make_golden`."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.feature.format import VERSION
from cxrfeat.feature.store import write_features
from tests.feature.content import golden_content, in_two


def main() -> None:
    path = Path(__file__).parents[1] / "data" / f"features-v{VERSION}.h5"
    if path.exists():
        raise SystemExit(f"{path} is there; golden files are never changed. Raise VERSION first.")
    path.parent.mkdir(exist_ok=True)
    content, features = golden_content()
    write_features(path, content, features.shape[2], in_two(features))
    print(path)


if __name__ == "__main__":
    main()

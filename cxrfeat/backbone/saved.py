"""A Keras model as the bytes of a file, the same for the same model."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

from cxrfeat.system.files import TEMPORARY


def keras_bytes(model: Any) -> bytes:  # noqa: ANN401  # Keras has no types
    """What `model.save` writes into a `.keras` file, without times and addresses: equal models are equal files."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15.1
        path = Path(folder) / "network.keras"
        model.save(path)
        return _reproducible(path)


def _reproducible(path: Path) -> bytes:
    """A `.keras` file without times and addresses, so that equal networks are equal files."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as made:
        for name in sorted(archive.namelist()):
            data = archive.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "date_saved": ""}).encode()
            elif name == "config.json":
                data = json.dumps(_without_addresses(json.loads(data))).encode()
            made.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


def _without_addresses(config: Any) -> Any:  # noqa: ANN401  # JSON
    """Keras marks objects that layers share by their addresses; any number that is theirs alone will do."""
    ids: dict[int, int] = {}
    pending = deque([config])
    while pending:
        node = pending.popleft()
        if isinstance(node, dict):
            if "shared_object_id" in node:
                node["shared_object_id"] = ids.setdefault(node["shared_object_id"], len(ids))
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return config

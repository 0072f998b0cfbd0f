from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import urllib.error
from pathlib import Path

import pytest

from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.table import TABLE
from cxrfeat.backbone.weights import find_file, import_weights, keep_network, list_weights
from cxrfeat.errors import InputError, WeightsError
from cxrfeat.system.files import user_cache

CONTENT = b"weights of vgg16"


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Keras home without any weights, and a table in which vgg16's are `CONTENT`."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    md5 = hashlib.md5(CONTENT).hexdigest()
    monkeypatch.setitem(TABLE, "vgg16", dataclasses.replace(TABLE["vgg16"], weights_digest=md5))
    return tmp_path / "keras"


def never(url: str, **_: object) -> None:
    raise AssertionError(f"the internet was asked for {url}")


def test_missing_weights_are_downloaded_once_and_checked(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def answer(url: str, *, timeout: float) -> io.BytesIO:
        asked.append((url, timeout))
        return io.BytesIO(CONTENT)

    monkeypatch.setattr("urllib.request.urlopen", answer)
    row = TABLE["vgg16"]
    assert find_network("vgg16") == find_network("vgg16")
    assert asked == [(row.weights_url, 20.0)]
    assert (keras_home / "models" / row.weights_file).read_bytes() == CONTENT
    assert capsys.readouterr() == ("", f"Downloading {row.weights_url} ...\n"), "stdout is for data"


def test_weights_that_cannot_be_had_say_what_to_do(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(url: str, **_: object) -> None:
        raise urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr("urllib.request.urlopen", offline)
    row = TABLE["resnet50"]
    with pytest.raises(WeightsError) as caught:
        find_network("resnet50")
    message = str(caught.value)
    for part in (
        "weights of resnet50 are not on this machine", "Temporary failure in name resolution", row.weights_url,
        f"`cxrfeat weights import {row.weights_file}`", str(keras_home / "models"), "a path as `weights`",
        "`weights=random`",
    ):  # fmt: skip
        assert part in message, part
    assert "\n" not in message
    assert caught.value.exit_code == 3
    assert not (keras_home / "models").exists()


def test_damaged_weights_are_found(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", never)
    place = keras_home / "models" / TABLE["vgg16"].weights_file
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=rf"{place} is damaged .*Delete it; .*`cxrfeat weights import FILE`"):
        find_network("vgg16")
    assert {row["backbone"]: row["state"] for row in list_weights()} == {
        name: "damaged" if name == "vgg16" else "missing" for name in TABLE
    }
    place.write_bytes(CONTENT)
    (ready,) = (row for row in list_weights() if row["state"] == "ready")
    assert ready == {"backbone": "vgg16", "state": "ready", "path": str(place), "url": TABLE["vgg16"].weights_url}


def test_imported_weights_are_known_by_their_content(
    keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", never)
    (tmp_path / "download (1).bin").write_bytes(CONTENT)
    name, place = import_weights(tmp_path / "download (1).bin")
    assert (name, place) == ("vgg16", keras_home / "models" / TABLE["vgg16"].weights_file)
    assert find_network("vgg16").path == place
    assert import_weights(place) == (name, place), "once more is no harm"
    assert place.read_bytes() == CONTENT


def test_other_files_are_not_imported(keras_home: Path, tmp_path: Path) -> None:
    (tmp_path / TABLE["vgg16"].weights_file).write_bytes(b"not these")
    with pytest.raises(
        WeightsError, match=rf"is not the ImageNet weights of a backbone.*{TABLE['vgg16'].weights_file}"
    ):
        import_weights(tmp_path / TABLE["vgg16"].weights_file)
    with pytest.raises(InputError, match=r"The weights file .*none.h5 does not exist"):
        import_weights(tmp_path / "none.h5")
    with pytest.raises(InputError, match=r"is not a file"):
        import_weights(tmp_path)
    assert not keras_home.exists()


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.h5").touch()
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who may read all
    with pytest.raises(InputError, match=r"w.h5 cannot be read: you have no permission. Change its"):
        find_network("vgg16", weights=str(tmp_path / "w.h5"))


def test_weights_of_a_path_are_kept_by_their_digest(tmp_path: Path) -> None:
    (tmp_path / "mine.H5").write_bytes(b"my weights")
    network = find_network("vgg16", weights=str(tmp_path / "mine.H5"))
    digest = hashlib.sha256(b"my weights").hexdigest()
    assert network.weights == f"sha256:{digest}"
    assert network.path == user_cache() / "networks" / f"{digest}.h5"
    assert network.path.read_bytes() == b"my weights"
    network.path.write_bytes(b"damaged")
    again = find_network("vgg16", weights=str(tmp_path / "mine.H5"))
    assert again.path == network.path
    assert again.path.read_bytes() == b"my weights", "a damaged copy is replaced"


def test_random_weights_are_identified_by_all_that_decides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", never)
    network = find_network("xception", weights="random", seed=7)
    assert network.random
    assert (network.path, network.seed, network.size) == (None, 7, 299)
    assert network.weights == "random:seed=7,rev=1"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert find_network("xception", weights="random", seed=7) == network, "whoever computes with them"


def test_a_list_of_weights_is_plain_values(keras_home: Path) -> None:
    assert [row["state"] for row in list_weights()] == ["missing"] * len(TABLE)
    json.dumps(list_weights())


def test_a_network_that_was_made_here_is_found_by_its_digest() -> None:
    identity = keep_network(b"a network")
    digest = hashlib.sha256(b"a network").hexdigest()
    assert identity == f"sha256:{digest}"
    place = find_file("file", digest)
    assert place is not None
    assert place.read_bytes() == b"a network"
    place.write_bytes(b"damaged")
    assert find_file("file", digest) is None

from __future__ import annotations

import dataclasses
import hashlib
import json
import socket
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.backbone import network as module
from cxrfeat.backbone import quiet
from cxrfeat.backbone.network import (
    Network,
    backend,
    find_again,
    find_network,
    import_weights,
    keras_folder,
    list_weights,
)
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import CxrFeatError, InputError, UsageError, WeightsError
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.system.files import user_cache
from tests.backbone.models import functional, layer, write_h5, write_keras

CONTENT = b"weights of vgg16"


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Keras home without any weights, and a table in which vgg16's are `CONTENT`."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    md5 = hashlib.md5(CONTENT).hexdigest()
    monkeypatch.setitem(TABLE, "vgg16", dataclasses.replace(TABLE["vgg16"], weights_md5=md5))
    return tmp_path / "keras"


def internet(monkeypatch: pytest.MonkeyPatch, get_file: Callable[..., Any]) -> None:
    """What stands in for Keras's download."""
    keras = types.SimpleNamespace(utils=types.SimpleNamespace(get_file=get_file))
    monkeypatch.setattr(quiet, "import_keras", lambda: keras)


def never(*_: object, **__: object) -> None:
    raise AssertionError("the internet was asked")


def spec_of(network: Network) -> FeatureSpec:
    view = ViewSpec(size=network.size, count=1)
    return FeatureSpec(backbone=network.backbone, weights=network.weights, preprocess=network.preprocess, view=view)


# Weights of the table


def test_cached_weights_are_used_and_identified(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    internet(monkeypatch, never)
    place = keras_home / "models" / TABLE["vgg16"].weights_file
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    network = find_network("vgg16")
    assert network == Network(
        name="vgg16", backbone="vgg16", weights=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
        preprocess="caffe", size=224, path=place,
    )  # fmt: skip
    assert not network.random
    assert find_network("vgg16", size=64).size == 64
    assert find_again(spec_of(network), "vgg16") == network


def test_missing_weights_are_downloaded_once_and_checked(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def get_file(name: str, url: str, **options: Any) -> None:
        asked.append((name, url, options))
        print("Downloading data")
        place = Path(options["cache_dir"]) / options["cache_subdir"] / name
        place.parent.mkdir(parents=True)
        place.write_bytes(CONTENT)

    internet(monkeypatch, get_file)
    row, before = TABLE["vgg16"], socket.getdefaulttimeout()
    assert find_network("vgg16") == find_network("vgg16")
    assert len(asked) == 1
    assert asked[0][:2] == (row.weights_file, row.weights_url)
    assert asked[0][2]["file_hash"] == row.weights_md5
    assert socket.getdefaulttimeout() == before
    assert capsys.readouterr() == ("", "Downloading data\n"), "stdout is for data"


def test_weights_that_cannot_be_had_say_what_to_do(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_file(name: str, url: str, **_: object) -> None:
        place = keras_folder() / name
        place.parent.mkdir(parents=True)
        place.write_bytes(b"half")
        raise Exception(f"URL fetch failure on {url}: None -- [Errno -3] Temporary failure in name resolution")

    internet(monkeypatch, get_file)
    row, before = TABLE["resnet50"], socket.getdefaulttimeout()
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
    assert list((keras_home / "models").iterdir()) == [], "half a file is not left for the next run"
    assert socket.getdefaulttimeout() == before


def test_damaged_weights_are_found(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    internet(monkeypatch, never)
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
    internet(monkeypatch, never)
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
    with pytest.raises(InputError, match=r"w.h5 may not be read by you. Change its permissions"):
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
    internet(monkeypatch, never)
    network = find_network("xception", weights="random", seed=7)
    assert network.random
    assert (network.path, network.seed, network.size) == (None, 7, 299)
    assert network.weights.startswith("random:seed=7,keras=3.")
    assert network.weights.endswith("backend=tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert find_network("xception", weights="random", seed=7).weights != network.weights


def test_the_backend_is_the_one_that_keras_takes(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend() == "tensorflow"
    keras_home.mkdir()
    for text, name in (
        (b'{"backend": "jax"}', "jax"),
        (b"{", "tensorflow"),
        (b"[]", "tensorflow"),
        (b"{}", "tensorflow"),
    ):
        (keras_home / "keras.json").write_bytes(text)
        assert backend() == name
    monkeypatch.setenv("KERAS_BACKEND", "openvino")
    assert backend() == "openvino"


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        ("resnet5", {}, r"no backbone 'resnet5'. Did you mean resnet50"),
        (
            "resnet50",
            {"preprocess": "tf"},
            r"resnet50 was trained with `preprocess=caffe`.*`normalize=featurewise` or none",
        ),
        (
            "m.keras",
            {"weights": "random", "preprocess": "tf"},
            r"`weights=random` does not go with a network of your own",
        ),
        ("m.keras", {}, r"m.keras does not say how its pixels were prepared. Add `preprocess`: tf"),
        ("m.keras", {"preprocess": "keras"}, r"`preprocess` is tf, torch, caffe, none; got 'keras'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_keras(tmp_path / "m.keras", functional())
    with pytest.raises(UsageError, match=message):
        find_network(backbone, **options)


# A network of the user's own


@pytest.mark.parametrize(("suffix", "write"), [(".keras", write_keras), (".h5", write_h5), (".HDF5", write_h5)])
def test_a_network_of_ones_own_is_kept_by_its_digest(
    tmp_path: Path, suffix: str, write: Callable[[Path, Any], Path]
) -> None:
    path = write(tmp_path / f"my net (2){suffix}", functional(layer("Dense")))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    network = find_network(str(path), preprocess="tf")
    assert network == Network(
        name="my_net_2_", backbone="file", weights=f"sha256:{digest}", preprocess="tf", size=32,
        path=user_cache() / "networks" / f"{digest}{suffix.lower()}",
    )  # fmt: skip
    path.rename(tmp_path / "moved")
    assert find_again(spec_of(network), "my_net_2_") == network, "wherever the file goes"
    network.path.unlink()  # type: ignore[union-attr]  # a network from a file has a path
    with pytest.raises(WeightsError, match=rf"my_net_2_ \(SHA-256 {digest[:12]}...\) is no longer in .*`network`"):
        find_again(spec_of(network), "my_net_2_")
    again = find_again(spec_of(network), "my_net_2_", path=tmp_path / "moved")
    assert dataclasses.replace(again, path=network.path) == network
    (tmp_path / "moved").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"moved is not the network that made these features"):
        find_again(spec_of(network), "my_net_2_", path=tmp_path / "moved")
    with pytest.raises(InputError, match=r"The network .* does not exist"):
        find_again(spec_of(network), "my_net_2_", path=tmp_path / "nowhere")


def test_a_damaged_copy_in_the_cache_is_not_the_network(tmp_path: Path) -> None:
    network = find_network(str(write_keras(tmp_path / "m.keras", functional())), preprocess="tf")
    assert network.path is not None
    network.path.write_bytes(network.path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"no longer in"):
        find_again(spec_of(network), "m")


def test_the_size_is_the_networks_own_where_it_has_one(tmp_path: Path) -> None:
    fixed = str(write_keras(tmp_path / "fixed.keras", functional(shape=[None, 96, 96, 3])))
    free = str(write_keras(tmp_path / "free.keras", functional(shape=[None, None, None, 1])))
    inner = functional(shape=[None, 48, 48, 3])
    nested = str(write_keras(tmp_path / "nested.keras", functional(inner, shape=[None, 96, 96, 3])))
    assert find_network(fixed, preprocess="tf").size == 96
    assert find_network(fixed, preprocess="tf", size=96).size == 96
    with pytest.raises(UsageError, match=r"fixed.keras takes images of 96 px only; got `size=64`"):
        find_network(fixed, preprocess="tf", size=64)
    assert find_network(free, preprocess="tf").size == 224
    assert find_network(free, preprocess="tf", size=64).size == 64
    assert find_network(nested, preprocess="tf").size == 96, "the outermost input counts"


CODE = [
    ("a Lambda layer", layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEA"}}), "Lambda"),
    ("a Lambda under another name", layer("Lambda", "keras.src.layers.core.lambda_layer"), "Lambda"),
    ("an old Lambda", {"class_name": "Lambda", "config": {"function": ["4wEA", None, None]}}, "Lambda"),
    ("code within a layer", layer("Dense", activation={"class_name": "__lambda__", "config": {}}), "__lambda__"),
    ("deep inside", layer("TimeDistributed", layer=layer("Sequential", layers=[layer("Lambda")])), "Lambda"),
    ("a custom class", layer("Trap", "trap", "trap>Trap"), "trap>Trap"),
    ("a registered class", layer("Trap", None, "trap>Trap"), "trap>Trap"),
    ("another module", layer("system", "os"), "system"),
    ("a module that begins alike", layer("Layer", "keras_evil.layers"), "Layer"),
    ("a function", layer("function", "builtins", config="eval"), "function"),
    ("a program beside it", layer("TFSMLayer", filepath="/tmp/program"), "TFSMLayer"),
    ("pickled torch", layer("TorchModuleWrapper", module="gASV"), "TorchModuleWrapper"),
]


@pytest.mark.parametrize("write", [write_keras, write_h5])
@pytest.mark.parametrize(("rule", "code", "named"), CODE, ids=[case[0] for case in CODE])
def test_a_network_with_code_of_its_own_is_refused_unopened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, Any], Path],
    rule: str,
    code: Any,
    named: str,
) -> None:
    internet(monkeypatch, never)
    path = write(tmp_path / ("m.keras" if write is write_keras else "m.h5"), functional(code))
    with pytest.raises(InputError, match=rf"m\.\w+ holds code of its own \({named}\), which cxrfeat does not run"):
        find_network(str(path), preprocess="tf")
    assert not user_cache().exists(), "nothing of it is kept"


def test_code_does_not_hide_behind_an_innocent_archive(tmp_path: Path) -> None:
    """An HDF5 file with a zip archive at its end is both; Keras goes by the suffix, and so must the check."""
    path = write_h5(tmp_path / "m.h5", functional(layer("Lambda")))
    innocent = write_keras(tmp_path / "innocent.keras", functional())
    path.write_bytes(path.read_bytes() + innocent.read_bytes())
    with pytest.raises(InputError, match=r"holds code of its own|is not a Keras model"):
        find_network(str(path), preprocess="tf")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    "content", [b"", b"text, not a model", b"PK\x03\x04" + bytes(100), b"\x89HDF\r\n\x1a\n" + bytes(99)]
)
def test_what_is_no_model_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"m{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=r"is not a Keras model: it must be written by `model.save"):
        find_network(str(tmp_path / f"m{suffix}"), preprocess="tf")


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    for write, name in ((write_keras, "m.keras"), (write_h5, "m.h5")):
        path = write(tmp_path / name, functional())
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(InputError, match=r"is not a Keras model"):
            find_network(str(path), preprocess="tf")


@pytest.mark.parametrize("config", [[], 3, "text"])
def test_a_description_that_is_none_is_refused(tmp_path: Path, config: Any) -> None:
    with pytest.raises(InputError, match=r"is not a Keras model"):
        find_network(str(write_keras(tmp_path / "m.keras", config)), preprocess="tf")


def test_deep_and_large_descriptions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "deep.keras", "w") as archive:
        archive.writestr("config.json", "[" * 200_000)
    with pytest.raises(InputError, match=r"is not a Keras model"):
        find_network(str(tmp_path / "deep.keras"), preprocess="tf")
    monkeypatch.setattr(module, "_MAX_CONFIG_BYTES", 10)
    with pytest.raises(InputError, match=r"is not a Keras model"):
        find_network(str(write_keras(tmp_path / "m.keras", functional())), preprocess="tf")


@pytest.mark.parametrize("shape", [[None, 32, 48, 3], [None, 32, 32, 4], [None, 3, 32, 32], [None, 10], None])
def test_an_input_that_is_no_image_is_refused(tmp_path: Path, shape: Any) -> None:
    config = functional(shape=shape or [None, 32, 32, 32, 3])
    with pytest.raises(InputError, match=r"does not take square grey or RGB images: its input is \["):
        find_network(str(write_keras(tmp_path / "m.keras", config)), preprocess="tf")


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The network .*none.keras does not exist. Check the path"):
        find_network(str(tmp_path / "none.keras"), preprocess="tf")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(InputError, match=r"folder.keras is not a file"):
        find_network(str(tmp_path / "folder.keras"), preprocess="tf")


# Finding the network of given features


def test_random_weights_are_found_again_where_they_would_be_the_same() -> None:
    network = find_network("vgg16", weights="random", seed=3)
    assert find_again(spec_of(network), "vgg16") == network
    other = dataclasses.replace(spec_of(network), weights="random:seed=3,keras=2.0,backend=tensorflow")
    with pytest.raises(WeightsError, match=r"drawn by other software \(random:seed=3,keras=2.0.*extract` again"):
        find_again(other, "vgg16")


@pytest.mark.parametrize(
    "weights", ["random:", "random:seed=x,keras=3", "sha256:/etc/passwd", "sha256:*", "md5:00", "x"]
)
def test_an_identity_that_is_none_is_refused(weights: str) -> None:
    """A stranger's feature file may say anything."""
    spec = dataclasses.replace(spec_of(find_network("vgg16", weights="random")), weights=weights)
    with pytest.raises(CxrFeatError, match=r"do not say which network made them"):
        find_again(spec, "vgg16")


def test_json_of_a_network_is_not_needed_to_list_weights(keras_home: Path) -> None:
    assert [row["state"] for row in list_weights()] == ["missing"] * len(TABLE)
    json.dumps(list_weights())

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.backbone.network import Network, find_again, find_network
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import CxrFeatError, InputError, UsageError, WeightsError
from cxrfeat.system.files import user_cache
from tests.backbone.models import functional, layer, write_h5, write_keras
from tests.backbone.networks import described


def test_cached_weights_are_used_and_identified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"weights of vgg16"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    md5 = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(TABLE, "vgg16", dataclasses.replace(TABLE["vgg16"], weights_digest=md5))
    place = tmp_path / "keras" / "models" / TABLE["vgg16"].weights_file
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    network = find_network("vgg16")
    assert network == Network(
        name="vgg16", backbone="vgg16", weights=f"sha256:{hashlib.sha256(content).hexdigest()}",
        preprocess="caffe", size=224, path=place,
    )  # fmt: skip
    assert not network.random
    assert find_network("vgg16", size=64).size == 64
    assert find_again(described(network), "vgg16") == network


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
        ("inceptionv3", {"weights": "random", "size": 74}, r"inceptionv3 takes images from 75 px on; got `size=74`"),
        ("m.keras", {}, r"m.keras does not say how its pixels were prepared. Add `preprocess`: tf"),
        ("m.keras", {"preprocess": "tf", "mean": 0.5}, r"say how pixels are prepared: omit `preprocess=tf`"),
        ("m.keras", {"mean": 0.5}, r"`mean` and `std` go together"),
        ("m.keras", {"mean": 0.5, "std": 0}, r"`std` is above 0; got 0"),
        ("m.keras", {"preprocess": "tf", "output": "a"}, r"`output` and `pool` are for ONNX files"),
        ("resnet50", {"weights": "random", "mean": 0.5, "std": 1}, r"resnet50 has its own preprocessing"),
        ("m.onnx", {"preprocess": "tf", "pool": "max"}, r"`pool` is mean, cls, none; got 'max'"),
        ("m.keras", {"preprocess": "keras"}, r"`preprocess` is tf, torch, caffe, none, xrv; got 'keras'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_keras(tmp_path / "m.keras", functional())
    with pytest.raises(UsageError, match=message):
        find_network(backbone, **options)


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
    assert find_again(described(network), "my_net_2_") == network, "wherever the file goes"
    network.path.unlink()  # type: ignore[union-attr]  # a network from a file has a path
    with pytest.raises(WeightsError, match=rf"my_net_2_ \(SHA-256 {digest[:12]}...\) is no longer in .*`network`"):
        find_again(described(network), "my_net_2_")
    again = find_again(described(network), "my_net_2_", path=tmp_path / "moved")
    assert dataclasses.replace(again, path=network.path) == network
    (tmp_path / "moved").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"moved is not the network that made these features"):
        find_again(described(network), "my_net_2_", path=tmp_path / "moved")
    with pytest.raises(InputError, match=r"The network .* does not exist"):
        find_again(described(network), "my_net_2_", path=tmp_path / "nowhere")


def test_a_damaged_copy_in_the_cache_is_not_the_network(tmp_path: Path) -> None:
    network = find_network(str(write_keras(tmp_path / "m.keras", functional())), preprocess="tf")
    assert network.path is not None
    network.path.write_bytes(network.path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"no longer in"):
        find_again(described(network), "m")


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


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The network .*none.keras does not exist. Check the path"):
        find_network(str(tmp_path / "none.keras"), preprocess="tf")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(InputError, match=r"folder.keras is not a file"):
        find_network(str(tmp_path / "folder.keras"), preprocess="tf")


@pytest.mark.parametrize("identity", ["random:seed=3,keras=2.0,backend=tensorflow", "random:seed=3,rev=2"])
def test_random_weights_are_found_again_unless_they_were_drawn_otherwise(identity: str) -> None:
    network = find_network("vgg16", weights="random", seed=3)
    assert network.weights == "random:seed=3,rev=1"
    assert find_again(described(network), "vgg16") == network
    other = dataclasses.replace(described(network), weights=identity)
    with pytest.raises(WeightsError, match=rf"another version of cxrfeat drew \({identity}.*extract` again"):
        find_again(other, "vgg16")


def test_a_size_that_a_network_does_not_take_is_refused_of_a_file_too() -> None:
    spec = described(find_network("xception", weights="random", size=71))
    with pytest.raises(UsageError, match="xception takes images from 71 px on"):
        find_again(dataclasses.replace(spec, view=dataclasses.replace(spec.view, size=70)), "xception")


@pytest.mark.parametrize(
    "weights", ["random:", "random:seed=x,keras=3", "sha256:/etc/passwd", "sha256:*", "md5:00", "x"]
)
def test_an_identity_that_is_none_is_refused(weights: str) -> None:
    """A stranger's feature file may say anything."""
    spec = dataclasses.replace(described(find_network("vgg16", weights="random")), weights=weights)
    with pytest.raises(CxrFeatError, match=r"do not say which network made them"):
        find_again(spec, "vgg16")


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """A network of grey images of 16 px, to maps."""
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    from tests.backbone.onnx_bodies import convolutional

    (tmp_path / "my net.onnx").write_bytes(convolutional(channels=1).SerializeToString())
    return tmp_path / "my net.onnx"


def test_an_onnx_file_is_kept_by_its_digest_and_found_again(onnx_file: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(onnx_file.read_bytes()).hexdigest()
    network = find_network(str(onnx_file), mean=0.5, std=(0.25,))
    assert network == Network(
        name="my_net", backbone="file", weights=f"sha256:{digest}", preprocess="torch", size=16,
        path=user_cache() / "networks" / digest / "network.onnx", pixel_mean=(0.5,), pixel_std=(0.25,), output="out",
        pool="mean",
    )  # fmt: skip
    assert network.onnx
    onnx_file.rename(tmp_path / "moved.onnx")
    assert find_again(described(network), "my_net") == network
    assert network.path is not None
    network.path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"no longer in"):
        find_again(described(network), "my_net")
    again = find_again(described(network), "my_net", path=tmp_path / "moved.onnx")
    assert dataclasses.replace(again, path=network.path) == network
    assert find_network(str(tmp_path / "moved.onnx"), mean=0.5, std=0.25).path == network.path
    assert network.path.read_bytes() == (tmp_path / "moved.onnx").read_bytes(), "mended"
    with pytest.raises(UsageError, match=r"moved.onnx takes grey images: `mean` and `std` are one number each"):
        find_network(str(tmp_path / "moved.onnx"), mean=(0.1, 0.2, 0.3), std=(1, 1, 1))


def test_weights_beside_an_onnx_file_are_part_of_what_it_is(onnx_file: Path, tmp_path: Path) -> None:
    import onnx

    place = tmp_path / "split" / "m.onnx"
    place.parent.mkdir()
    onnx.save(onnx.load(onnx_file), place, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    network = find_network(str(place), preprocess="xrv")
    assert network.path is not None
    assert sorted(path.name for path in network.path.parent.iterdir()) == ["m.onnx.data", "network.onnx"]
    assert network.weights != find_network(str(onnx_file), preprocess="xrv").weights
    assert find_again(described(network), "m") == network
    assert find_again(described(network), "m", path=place).weights == network.weights
    data = bytearray((tmp_path / "split" / "m.onnx.data").read_bytes())
    data[3] ^= 1
    (tmp_path / "split" / "m.onnx.data").write_bytes(data)
    assert find_network(str(place), preprocess="xrv").weights != network.weights
    with pytest.raises(WeightsError, match=r"m.onnx is not the network that made these features"):
        find_again(described(network), "m", path=place)
    (network.path.parent / "m.onnx.data").unlink()
    with pytest.raises(WeightsError, match=r"no longer in"):
        find_again(described(network), "m")


def test_one_number_is_for_all_channels_of_an_onnx_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    from tests.backbone.onnx_bodies import convolutional

    (tmp_path / "m.onnx").write_bytes(convolutional().SerializeToString())
    one, three = (
        find_network(str(tmp_path / "m.onnx"), mean=mean, std=std) for mean, std in ((0.5, 0.2), ([0.5] * 3, [0.2] * 3))
    )
    assert one == three
    assert one.pixel_mean == (0.5, 0.5, 0.5)
    imagenet = find_network(str(tmp_path / "m.onnx"), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert imagenet == find_network(str(tmp_path / "m.onnx"), preprocess="torch")

"""The recipes of `docs/recipes.md`, each on a small random network of its architecture; and its commands."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.choose import find_engine
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.openvino_engine import OPENVINO
from cxrfeat.types import Views
from tests.backbone.networks import described, some_views
from tests.test_docs import options

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")

SMALL = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}


def code(name: str) -> str:
    """The piece of Python that the page marks with a name."""
    (found,) = re.findall(rf"<!-- recipe: {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def made(*names: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "recipes"}
    for name in names:
        exec(compile(code(name), f"recipes.md, {name}", "exec"), space)
    return space


def test_the_commands_of_the_page_are_ones_that_there_are() -> None:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        assert line.startswith("cxrfeat extract DATA --backbone "), line
        assert set(re.findall(r"--[a-z-]+", line)) <= options()["extract"], line
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= set().union(*options().values())


def test_every_piece_of_python_on_the_page_is_python() -> None:
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        compile(block, "recipes.md", "exec")


def drawn(network: Any) -> Any:
    """The network with weights, and statistics of normalisation, that say something."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is no dependency")
    torch.manual_seed(0)
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, 0, 0.05)
    for name, statistics in network.named_buffers():
        if name.endswith("running_mean"):
            statistics.normal_(0, 0.1)
        elif name.endswith("running_var"):
            statistics.uniform_(0.5, 2)
    return network.eval()


def rad_dino(transformers: Any) -> tuple[Any, int]:
    return transformers.Dinov2Model(transformers.Dinov2Config(image_size=518, patch_size=14, **SMALL)), 518


def dinov2_with_registers(transformers: Any) -> tuple[Any, int]:
    config = transformers.Dinov2WithRegistersConfig(image_size=224, patch_size=14, **SMALL)
    return transformers.Dinov2WithRegistersModel(config), 224


def dinov3(transformers: Any) -> tuple[Any, int]:
    config = transformers.DINOv3ViTConfig(
        image_size=224, patch_size=16, num_register_tokens=4, intermediate_size=96, **SMALL
    )
    return transformers.DINOv3ViTModel(config), 224


def medsiglip(transformers: Any) -> tuple[Any, int]:
    config = transformers.SiglipVisionConfig(image_size=448, patch_size=14, intermediate_size=96, **SMALL)
    return transformers.SiglipVisionModel(config), 448


def scaled(views: Views, mean: Any, std: Any) -> NDArray[np.float32]:
    """`(n, 3, size, size)`, as torchvision's `ToTensor` and `Normalize` make it."""
    planes = np.repeat(views[:, np.newaxis].astype(np.float32) / np.float32(255), 3, axis=1)
    return (planes - np.float32(mean).reshape(-1, 1, 1)) / np.float32(std).reshape(-1, 1, 1)


IMAGENET = {"preprocess": "torch"}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CASES: list[tuple[Any, str, tuple[dict[str, Any], Any, Any], str | None]] = [
    (rad_dino, "tokens", ({"mean": 0.5307, "std": 0.2583}, 0.5307, 0.2583), "cls"),
    (rad_dino, "tokens", ({"mean": 0.5307, "std": 0.2583}, 0.5307, 0.2583), "mean"),
    (dinov2_with_registers, "tokens", IMAGENET, "cls"),
    (dinov2_with_registers, "patches", IMAGENET, None),
    (dinov3, "tokens", IMAGENET, "cls"),
    (dinov3, "patches", IMAGENET, None),
    (medsiglip, "pooled", ({"mean": 0.5, "std": 0.5}, 0.5, 0.5), None),
]


def assert_as_given(path: Path, views: Views, wanted: NDArray[Any], how: dict[str, Any]) -> None:
    assert path.with_name(f"{path.name}.data").is_file(), "weights lie beside the graph"
    network = find_network(str(path), **how)
    for engine in ("onnx", "openvino"):
        got = find_engine(engine)(network, described(network), 2, 0).run(views)
        assert got.shape == wanted.shape
        assert np.linalg.norm(got - wanted) <= 1e-5 * np.linalg.norm(wanted)
        assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.slow
@pytest.mark.parametrize(("make", "recipe", "preparing", "pool"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_a_transformer_gives_what_it_gives_in_pytorch(
    tmp_path: Path, make: Any, recipe: str, preparing: tuple[dict[str, Any], Any, Any], pool: str | None
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is no dependency")
    transformers = pytest.importorskip("transformers", reason="Transformers is not installed; it is no dependency")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed; it is no dependency")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    if not OPENVINO.installed():
        pytest.skip("the extra openvino is not installed")
    network, size = make(transformers)
    tower = made("save", recipe)
    wrapper = tower[recipe.capitalize()](drawn(network))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's exporter
        tower["save"](wrapper, str(tmp_path / "net.onnx"), size)
    views, (how, mean, std) = some_views(2, size), preparing
    with torch.no_grad():
        told = network(pixel_values=torch.tensor(scaled(views, mean, std)))
    last = told.last_hidden_state.numpy()
    registers = getattr(network.config, "num_register_tokens", 0)
    wanted = {
        "cls": last[:, 0],
        "mean": last[:, 1:].mean(axis=1),
        "patches": last[:, 1 + registers :].mean(axis=1),
        "pooled": told.pooler_output.numpy(),
    }[pool or recipe]
    assert_as_given(tmp_path / "net.onnx", views, wanted, {**how, "pool": pool})


@pytest.mark.slow
def test_torchxrayvisions_network_gives_its_own_features(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is no dependency")
    xrv = pytest.importorskip("torchxrayvision", reason="torchxrayvision is not installed; it is no dependency")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed; it is no dependency")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    if not OPENVINO.installed():
        pytest.skip("the extra openvino is not installed")
    network = drawn(xrv.models.DenseNet(weights=None, num_classes=18, in_channels=1))
    tower = made("save", "xrv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's exporter
        tower["save"](tower["Maps"](network), str(tmp_path / "net.onnx"), 224, channels=1)
    views = some_views(2, 224)
    pixels = np.stack([xrv.utils.normalize(view, 255) for view in views])[:, np.newaxis]
    with torch.no_grad():
        wanted = network.features2(torch.tensor(pixels)).numpy()
    assert_as_given(tmp_path / "net.onnx", views, wanted, {"preprocess": "xrv"})

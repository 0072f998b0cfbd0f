from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.backbone import model_file
from cxrfeat.backbone.model_file import check_model_file
from cxrfeat.backbone.network import find_network
from cxrfeat.errors import InputError
from cxrfeat.system.files import user_cache
from tests.backbone.models import functional, layer, write_h5, write_keras

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
    write: Callable[[Path, Any], Path],
    rule: str,
    code: Any,
    named: str,
) -> None:
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
        check_model_file(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    "content", [b"", b"text, not a model", b"PK\x03\x04" + bytes(100), b"\x89HDF\r\n\x1a\n" + bytes(99)]
)
def test_what_is_no_model_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"m{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=r"is not a Keras model: it must be written by `model.save"):
        check_model_file(tmp_path / f"m{suffix}")


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    for write, name in ((write_keras, "m.keras"), (write_h5, "m.h5")):
        path = write(tmp_path / name, functional())
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(InputError, match=r"is not a Keras model"):
            check_model_file(path)


@pytest.mark.parametrize("config", [[], 3, "text"])
def test_a_description_that_is_none_is_refused(tmp_path: Path, config: Any) -> None:
    with pytest.raises(InputError, match=r"is not a Keras model"):
        check_model_file(write_keras(tmp_path / "m.keras", config))


def test_deep_and_large_descriptions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "deep.keras", "w") as archive:
        archive.writestr("config.json", "[" * 200_000)
    with pytest.raises(InputError, match=r"is not a Keras model"):
        check_model_file(tmp_path / "deep.keras")
    monkeypatch.setattr(model_file, "_MAX_CONFIG_BYTES", 10)
    with pytest.raises(InputError, match=r"is not a Keras model"):
        check_model_file(write_keras(tmp_path / "m.keras", functional()))


@pytest.mark.parametrize("shape", [[None, 32, 48, 3], [None, 32, 32, 4], [None, 3, 32, 32], [None, 10], None])
def test_an_input_that_is_no_image_is_refused(tmp_path: Path, shape: Any) -> None:
    config = functional(shape=shape or [None, 32, 32, 32, 3])
    with pytest.raises(InputError, match=r"does not take square grey or RGB images: its input is \["):
        check_model_file(write_keras(tmp_path / "m.keras", config))


def test_the_side_of_the_input_is_read_where_there_is_one(tmp_path: Path) -> None:
    for shape, side in (([None, 96, 96, 3], 96), ([None, None, None, 1], None)):
        for write, name in ((write_keras, "m.keras"), (write_h5, "m.h5")):
            assert check_model_file(write(tmp_path / name, functional(shape=shape))) == side

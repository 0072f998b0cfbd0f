from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.head.archive import read_arrays, write_arrays


def test_arrays_come_back_bit_by_bit() -> None:
    arrays: dict[str, NDArray[Any]] = {
        "rows": np.arange(6, dtype=np.float32).reshape(2, 3),
        "labels": np.arange(3),
        "gamma": np.array(0.1),
        "none": np.empty((0, 4)),
    }
    again = read_arrays(write_arrays(arrays))
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(again[name], array)


def test_an_object_is_not_written() -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays({"gamma": np.array({}, dtype=object)})


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable .npz"),
        (b"\x80\x04]q\x00.", "not a readable .npz"),  # a pickle
        (npy(np.zeros(3)), "not a readable .npz"),  # a lone array
        (archive({"coef.npy": b""}), "coef.npy is not a plain array"),
        (archive({"coef.npy": npy(np.zeros(9))}, zipfile.ZIP_DEFLATED), "compressed"),  # a bomb is compressed
        (archive({"coef.npy": npy(np.zeros(9)).replace(b"(9,)", b"(8,)")}), "not as long as its data"),
        (archive({"coef.npy": npy(np.zeros(9))[:-1]}), "not as long as its data"),
        (archive({"coef.npy": npy(np.zeros(9)).replace(b"(9,), }   ", b"(9999,), }")}), "not as long as its data"),
        (archive({"coef.npy": npy(np.zeros(9)).replace(b"False", b"True ")}), "not a plain array"),
        (archive({"coef.npy": npy(np.zeros((0, 9))).replace(b"0, 9", b"0,-9")}), "not a plain array"),
    ],
)
def test_files_that_are_no_such_archive_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_arrays(content)

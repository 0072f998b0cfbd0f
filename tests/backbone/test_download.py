from __future__ import annotations

import errno
import hashlib
import http.client
import io
import threading
import urllib.error
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.backbone import download as module
from cxrfeat.backbone.download import digest_of, download, why_unreachable
from cxrfeat.errors import StorageError, WeightsError

CONTENT = b"weights" * 999_999
MD5, SHA256 = hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest()
URL = "https://example.org/w.h5"


@pytest.mark.parametrize("digest", [MD5, SHA256])
def test_a_file_is_fetched_in_parts_and_checked(digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: io.BytesIO(CONTENT))
    download(URL, digest, tmp_path / "models" / "w.h5")
    assert (tmp_path / "models" / "w.h5").read_bytes() == CONTENT
    assert digest_of(tmp_path / "models" / "w.h5", digest) == digest


class Breaking(io.BytesIO):
    """An answer that ends in an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(CONTENT)
        self._error = error

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise self._error
        return super().read(size)


def refused(url: str, timeout: float) -> None:
    raise urllib.error.HTTPError(url, 404, "Not Found", Message(), None)


CASES = [
    ("another file", lambda url, timeout: io.BytesIO(b"<html>"), "what came, 6 bytes, is not the file"),
    ("cut off", lambda url, timeout: io.BytesIO(CONTENT[:-1]), "is not the file"),
    ("broken", lambda url, timeout: Breaking(ConnectionResetError("reset")), "connection broke: .*reset"),
    ("too slow", lambda url, timeout: Breaking(TimeoutError("timed out")), "the connection broke: timed out"),
    ("no HTTP", lambda url, timeout: Breaking(http.client.IncompleteRead(b"")), "the connection broke: Incomplete"),
    ("without end", lambda url, timeout: io.BytesIO(CONTENT), "larger than"),
    ("not there", refused, "Not Found"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "answer", "message"), CASES, ids=[case[0] for case in CASES])
def test_what_fails_is_said_and_leaves_nothing(
    what: str, answer: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", answer)
    if what == "without end":
        monkeypatch.setattr(module, "_LARGEST", 2**20)
    with pytest.raises(WeightsError, match=message):
        download(URL, MD5, tmp_path / "w.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_no_fault_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, mode: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: io.BytesIO(CONTENT))
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StorageError, match="No space left"):
        download(URL, MD5, tmp_path / "w.h5")


def test_whether_a_file_could_be_fetched_is_asked_without_fetching_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(request: Any, timeout: float) -> io.BytesIO:
        asked.append(request.get_method())
        return io.BytesIO()

    monkeypatch.setattr("urllib.request.urlopen", answer)
    assert why_unreachable(URL, 2) == ""
    assert asked == ["HEAD"]

    def refuse(request: Any, timeout: float) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert why_unreachable(URL, 2) == "no route"


def test_a_server_whose_name_nobody_knows_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def wait(request: Any, timeout: float) -> None:
        done.wait(10)
        raise urllib.error.URLError("too late")

    monkeypatch.setattr("urllib.request.urlopen", wait)
    assert why_unreachable(URL, 0.05) == "no answer within 0.05 s"
    done.set()

"""The only place that talks to a network: a file of weights, fetched and checked by its digest."""

from __future__ import annotations

import hashlib
import http.client
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from cxrfeat.errors import StorageError, WeightsError
from cxrfeat.system.files import replace_atomic

_PATIENCE = 20.0
"""Seconds without an answer after which it is given up, as behind a closed firewall."""

_LARGEST = 2**31
"""Bytes that are more than any file of weights has."""

_AT_ONCE = 2**20


def download(url: str, digest: str, place: Path) -> None:
    """Fetch a file, and put it at `place`, whole or not at all; said on stderr, since it may take minutes.

    Args:
        url: Where it is.
        digest: MD5 of its bytes, or SHA-256, in hexadecimal.
        place: Where it belongs.

    Raises:
        WeightsError: If it is not to be had, or is another file than this; the message is the reason alone.
        StorageError: If the disk refuses.
    """
    print(f"Downloading {url} ...", file=sys.stderr, flush=True)
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
            replace_atomic(place, lambda temporary: _receive(answer, digest, temporary))
    except StorageError:
        raise
    except urllib.error.URLError as error:  # that of the server, too
        raise WeightsError(str(error.reason)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WeightsError(str(error) or type(error).__name__) from error


def why_unreachable(url: str, patience: float) -> str:
    """Why a file cannot be fetched now; empty where it can. Only its headers are asked for.

    Args:
        url: Where it is.
        patience: Seconds after which an answer is no longer waited for, that of the name's owner among them.
    """
    answers: list[str] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=patience):
                answers.append("")
        except urllib.error.URLError as error:
            answers.append(str(error.reason))
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.append(str(error) or type(error).__name__)

    asking = threading.Thread(target=ask, name="reach", daemon=True)  # looking a name up knows no patience
    asking.start()
    asking.join(patience)
    return answers[0] if answers else f"no answer within {patience:g} s"


def digest_of(path: Path, like: str) -> str:
    """A file's digest of the same kind as another one, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: _new(like)).hexdigest()


def _new(like: str) -> hashlib._Hash:
    return hashlib.sha256() if len(like) == 64 else hashlib.md5(usedforsecurity=False)


def _receive(answer: IO[bytes], digest: str, temporary: Path) -> None:
    found, size = _new(digest), 0
    with temporary.open("wb") as file:
        while part := _part(answer):
            size += len(part)
            if size > _LARGEST:
                raise WeightsError(f"it is larger than {_LARGEST} bytes")
            found.update(part)
            file.write(part)
    if found.hexdigest() != digest:
        raise WeightsError(f"what came, {size} bytes, is not the file: its digest is {found.hexdigest()}")


def _part(answer: IO[bytes]) -> bytes:
    """The next bytes; an error of the network is none of the disk's."""
    try:
        return answer.read(_AT_ONCE)
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"the connection broke: {error or type(error).__name__}") from error

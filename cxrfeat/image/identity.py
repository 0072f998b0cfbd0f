"""The only place that knows the salt, and so the only one that turns paths and patients into stored ids.

Stored files hold keyed hashes (HMAC) in place of names. Without the salt, which never leaves the user's configuration
folder, nobody can test a guessed patient number against them.
"""

from __future__ import annotations

import hmac
import secrets
import stat
from pathlib import Path

from cxrfeat.errors import IntegrityError
from cxrfeat.system.files import make_folder, storing, user_config, write_atomic

_SALT_BYTES = 32
_ID_DIGITS = 32


class Identity:
    """Gives the ids under one salt.

    Example:
        >>> identity = Identity(bytes(range(32)))
        >>> identity.image_id("COVID/1.png") == identity.group_id("COVID/1.png")
        False
        >>> len(identity.image_id("COVID/1.png"))
        32
    """

    def __init__(self, salt: bytes) -> None:
        """Use this salt of 32 bytes; `Identity.load` finds the user's."""
        if len(salt) != _SALT_BYTES:
            raise ValueError(f"a salt has {_SALT_BYTES} bytes, not {len(salt)}")
        self._keyed = hmac.new(salt, digestmod="sha256")

    @classmethod
    def load(cls, folder: Path | None = None) -> Identity:
        """The user's identity, made on first use.

        Args:
            folder: Where the salt is kept; the user's configuration folder unless given.

        Raises:
            IntegrityError: If the salt is damaged.
            StorageError: If it cannot be read or made.
        """
        path = (user_config() if folder is None else folder) / "salt"
        salt = _read(path)
        return cls(salt if salt is not None else _make(path))

    def image_id(self, path: str, content_sha256: str = "") -> str:
        """32 hexadecimal digits for an image: for its bytes, in their place in the data set.

        So images of two data sets that are called the same have two ids, an image whose bytes change gets another one,
        and a data set that moves as a whole keeps its ids.

        Args:
            path: Relative to the data root, with `/` between the parts.
            content_sha256: SHA-256 of the file's bytes; empty for an unusable image, which goes by its place.
        """
        return self._id("image", f"{path}\0{content_sha256}" if content_sha256 else path)

    def group_id(self, key: str) -> str:
        """32 hexadecimal digits for a group, by its key from `group_keys`."""
        return self._id("group", key)

    def _id(self, domain: str, text: str) -> str:
        # surrogatepass: names that are not UTF-8 arrive as lone surrogates, and any two texts stay different.
        message = f"cxrfeat {domain}\0{text}".encode("utf-8", "surrogatepass")
        keyed = self._keyed.copy()  # half as long as to begin anew, for a million images
        keyed.update(message)
        return keyed.hexdigest()[:_ID_DIGITS]


def _read(path: Path) -> bytes | None:
    with storing("read the salt", path):
        try:
            salt = path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else b""
        except FileNotFoundError:
            return None
    if len(salt) != _SALT_BYTES or not any(salt):
        raise IntegrityError(
            f"{path} is damaged: the salt is {_SALT_BYTES} random bytes, and this is not. Put it back from a backup; "
            "or delete it, and the next run makes a new one. Image ids in features made before will then match no "
            "image any more: run `cxrfeat extract` again."
        )
    return salt


def _make(path: Path) -> bytes:
    from filelock import FileLock

    make_folder(path.parent)
    with storing("make the salt", path), FileLock(path.with_name("salt.lock")):
        salt = _read(path)  # another process may have been faster
        if salt is None:
            salt = secrets.token_bytes(_SALT_BYTES)
            write_atomic(path, salt, private=True)
    return salt

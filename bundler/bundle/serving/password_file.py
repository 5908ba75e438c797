"""The users of a server, from a file that ``htpasswd -B`` writes.

A user has a bcrypt hash; other hashes are refused, as container registries do. The time of a check
does not depend on whether the user exists.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import threading
from typing import TYPE_CHECKING

from bundler.config import config_file
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_COST = 16
"""A check with a higher cost takes longer than a client waits."""
_MAX_PASSWORD = 72
"""The number of bytes that bcrypt uses; programs ignore the others."""
_PARALLEL_CHECKS = 2
_HASH = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")


class PasswordFile:
    """Users with the hashes of their passwords. Thread-safe.

    Clients send the password with each request, so correct ones are remembered, as keyed digests.
    """

    def __init__(self, hashes: Mapping[bytes, bytes]) -> None:
        import bcrypt  # noqa: PLC0415 - only servers with users need it

        self._check_password = bcrypt.checkpw
        self._hashes = dict(hashes)
        self._of_no_user = next(iter(self._hashes.values()))
        self._key = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        self._checks = threading.Semaphore(_PARALLEL_CHECKS)

    @classmethod
    def read(cls, path: Path) -> PasswordFile:
        """Read a file with a line ``USER:HASH`` for each user.

        Raises:
            ConfigError: the file does not exist, cannot be read, has no user, or a hash is not that
                of bcrypt.
        """
        raw = config_file.read(path)
        if raw is None:
            raise ConfigError(f"{path}: no such file", path=str(path))
        hashes: dict[bytes, bytes] = {}
        for number, line in enumerate(raw.splitlines(), 1):
            if not line.strip() or line.startswith(b"#"):
                continue
            user, _, hashed = line.strip().partition(b":")
            match = _HASH.fullmatch(hashed)
            if not user or match is None or not 4 <= int(match[1]) <= MAX_COST:
                raise ConfigError(
                    f"{path}:{number}: not a user with a bcrypt hash of cost 4 to {MAX_COST}",
                    path=str(path),
                    hint=f"write the user with htpasswd -B {path} USER",
                )
            hashes[user] = hashed
        if not hashes:
            raise ConfigError(
                f"{path}: no user", path=str(path), hint=f"add one with htpasswd -B {path} USER"
            )
        return cls(hashes)

    def accepts(self, authorization: str) -> bool:
        """Return whether the value of an ``Authorization`` header has a user's password."""
        scheme, _, encoded = authorization.strip().partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            decoded = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        user, colon, password = decoded.partition(b":")
        password = password[:_MAX_PASSWORD]
        if not colon or b"\0" in decoded:
            return False
        remembered = hmac.digest(self._key, user + b":" + password, "sha256")
        if remembered in self._known:
            return True
        hashed = self._hashes.get(user)
        with self._checks:
            is_correct = self._check_password(password, hashed or self._of_no_user)
        if not is_correct or hashed is None:
            return False
        self._known.add(remembered)
        return True

"""Users in a file that htpasswd writes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import bcrypt
import pytest
from hypothesis import given, strategies

from bundler.bundle.serving.password_file import PasswordFile
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SALT = b"$2b$04$" + b"abcdefghijklmnopqrstuu"  # fixed: it is part of the names of tests


def create(**users: str) -> PasswordFile:
    return PasswordFile(
        {name.encode(): bcrypt.hashpw(word.encode(), SALT) for name, word in users.items()}
    )


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


USERS = create(alice="correct horse", bob="battery:staple")


def test_correct_passwords_are_accepted():
    for _ in range(2):  # the second time, the password is remembered
        assert USERS.accepts(basic("alice", "correct horse"))
        assert USERS.accepts(basic("bob", "battery:staple"))
        assert USERS.accepts(basic("bob", "battery:staple").replace("Basic", "basic"))


def test_wrong_passwords_are_refused():
    assert USERS.accepts(basic("alice", "correct horse"))
    for user, password in [
        ("alice", "battery:staple"),
        ("bob", ""),
        ("carol", "correct horse"),
        ("", ""),
    ]:
        assert not USERS.accepts(basic(user, password))


@given(strategies.one_of(strategies.text(), strategies.text().map("Basic ".__add__)))
def test_hostile_headers_are_refused(header: str):
    assert not USERS.accepts(header)


def test_only_the_beginning_of_a_long_password_counts():
    """Bcrypt uses 72 bytes, as in htpasswd and in registries."""
    users = create(alice="x" * 72)
    assert users.accepts(basic("alice", "x" * 72))
    assert users.accepts(basic("alice", "x" * 80))
    assert not users.accepts(basic("alice", "x" * 71))
    assert not users.accepts(basic("alice", "x" * 72 + "\0"))


def test_file_is_read(tmp_path: Path):
    hashed = bcrypt.hashpw(b"secret", SALT).decode().replace("$2b$", "$2y$")
    path = tmp_path / "users"
    path.write_text(f"# readers\n\nalice:{hashed}\r\n")
    assert PasswordFile.read(path).accepts(basic("alice", "secret"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "alice:secret\n",
        "alice:$apr1$abcdefgh$0123456789012345678901\n",
        "alice\n",
        f":{bcrypt.hashpw(b'x', SALT).decode()}\n",
        f"alice:{bcrypt.hashpw(b'x', SALT).decode()}x\n",
        f"alice:{bcrypt.hashpw(b'x', SALT).decode().replace('$04$', '$31$')}\n",
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, text: str):
    path = tmp_path / "users"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        PasswordFile.read(path)
    assert caught.value.path == str(path)
    assert "secret" not in str(caught.value)


def test_absent_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError):
        PasswordFile.read(tmp_path / "absent")

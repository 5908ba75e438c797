"""Text that looks like a secret."""

from __future__ import annotations

import pytest

from bundler.bundle.audit.secret_text import (
    contains_secret,
    hide_in,
    hide_in_words,
    looks_secret,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "x"),
        ("github_token", "abc"),
        ("API_KEY", "abc"),
        ("AWS_SECRET", "abc"),
        ("A", "AKIAIOSFODNN7EXAMPLE"),
        ("A", "-----BEGIN EC PRIVATE KEY-----"),
        ("URL", "postgres://user:secret@db/x"),
        ("A", "ghp_" + "a" * 36),
    ],
)
def test_secrets_are_found(name: str, value: str):
    assert looks_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin"),
        ("DB_PASSWORD", ""),
        ("PASSWORD_FILE", "/run/secrets/db"),
        ("KEYSERVER", "hkps://keys.openpgp.org"),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("URL", "https://example.com/a@b"),
    ],
)
def test_usual_variables_are_no_secrets(name: str, value: str):
    assert not looks_secret(name, value)


@pytest.mark.parametrize(
    "command",
    [
        "RUN |1 NPM_TOKEN=abc123 /bin/sh -c npm ci # buildkit",
        "/bin/sh -c #(nop)  ENV PASSWORD=x1y2",
        "curl --user-token 'abc' https://example.com",
        "app --api-key=abc",
        'DB_PASSWORD="a b" app',
        "git clone https://me:hunter2@example.com/a.git",
    ],
)
def test_secrets_in_commands_are_found(command: str):
    assert contains_secret(command)


@pytest.mark.parametrize(
    "command",
    [
        "RUN --mount=type=secret,id=token npm ci # buildkit",
        "app --password $PASSWORD --token --verbose",
        "TOKEN=$(cat /run/secrets/token) app",
        'PASSWORD="$1" app',
        "ENV GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
        "passwd --delete root",
        "COPY token /etc/token",
    ],
)
def test_usual_commands_contain_no_secrets(command: str):
    assert not contains_secret(command)


def test_hostile_command_is_searched_in_linear_time():
    for part in ("--a-", "A=", "-", "--token  ", "BEGIN "):
        contains_secret(part * 40_000)


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("RUN |1 NPM_TOKEN=hunter2 /bin/sh -c npm ci # buildkit", "npm ci"),
        ("curl --user-token 'hunter2 x' https://example.com", "https://example.com"),
        ('DB_PASSWORD="a hunter2" app', "app"),
        ("DB_PASSWORD=hunter2 API_KEY=hunter2 app", "API_KEY="),
        ("git clone https://me:hunter2@example.com/a.git", "example.com/a.git"),
        ("echo '-----BEGIN PRIVATE KEY-----\nhunter2\n'", ""),
        ("x" * 70_000 + " hunter2", "x"),
    ],
    ids=range(7),
)
def test_secrets_in_commands_are_hidden(command: str, kept: str):
    hidden = hide_in(command)
    assert "hunter2" not in hidden
    assert kept in hidden


def test_usual_command_is_not_changed():
    command = 'RUN apt-get install -y curl && KEY=$TOKEN app --token "$TOKEN"'
    assert hide_in(command) == command


def test_secret_in_the_next_word_is_hidden():
    words = hide_in_words(["app", "--password", "hunter2", "--token=hunter2", "x"])
    assert "hunter2" not in " ".join(words)
    assert words[0::4] == ("app", "x")

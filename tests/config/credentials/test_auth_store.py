from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bundler.config.credentials import auth_store
from bundler.config.credentials.auth_file import DOCKER_HUB_KEY
from bundler.config.registry_access import Credentials
from bundler.content.files.atomic_write import PartFile
from bundler.content.files.safe_directory import Directory
from bundler.errors import ConfigError, CredentialHelperError, LockedError
from tests.config.world import World, entry
from tests.interop.servers import program

ME = Credentials(username="user", password="secret")
KEEPING_HELPER = """cat >"$0.$1"; case "$1" in
get) echo '{"Username":"u","Secret":"s"}' ;;
list) echo '{"a.b":"u","c.d":"u"}' ;;
erase) tr -d '\\n' <"$0.erase" >>"$0.erased"; echo >>"$0.erased" ;;
esac"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def content(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def test_new_file_and_directory_are_private(world: World):
    path = world.root / "new" / "deep" / "auth.json"
    old = os.umask(0)
    try:
        where = auth_store.store(path, "a.b:5000", ME, {})
    finally:
        os.umask(old)
    assert where == str(path)
    assert (mode(path), mode(path.parent), mode(path.parent.parent)) == (0o600, 0o700, 0o700)
    assert path.read_text() == (
        '{\n\t"auths": {\n\t\t"a.b:5000": {\n\t\t\t"auth": "dXNlcjpzZWNyZXQ="\n\t\t}\n\t}\n}'
    )


def test_stored_credentials_are_found(world: World):
    auth_store.store(world.auth_json, "a.b/team", Credentials("ü", "p:w"), {})
    auth_store.store(world.auth_json, "c.d", Credentials("u", identity_token="refresh"), {})
    settings = world.settings()
    assert settings.get_access("a.b", "team/x").credentials == Credentials("ü", "p:w")
    assert settings.get_access("a.b").credentials.anonymous
    assert settings.get_access("c.d").credentials.identity_token == "refresh"


def test_unknown_members_are_kept(world: World):
    before = {
        "zeta": [1, {"x": None}],
        "auths": {"c.d": entry() | {"email": "e"}},
        "credHelpers": {"e.f": "h"},
        "HttpHeaders": {"User-Agent": "<ü>"},
    }
    path = world.write("auth.json", before)
    auth_store.store(path, "a.b", ME, {})
    after = content(path)
    assert after["auths"].pop("a.b") == entry()
    assert after == before
    assert auth_store.remove(path, "c.d", {})
    assert content(path)["auths"] == {"a.b": entry()}


def test_readable_file_becomes_private(world: World):
    path = world.write("auth.json", {"auths": {}})
    path.chmod(0o644)
    auth_store.store(path, "a.b", ME, {})
    assert mode(path) == 0o600


def test_symbolic_link_is_kept_and_its_target_replaced(world: World):
    real = world.write("real/auth.json", {"keep": 1})
    link = world.root / "links" / "auth.json"
    link.parent.mkdir()
    link.symlink_to(real)
    auth_store.store(link, "a.b", ME, {})
    assert link.is_symlink()
    assert content(real) == {"keep": 1, "auths": {"a.b": entry()}}
    assert not list(link.parent.glob(".*"))


def test_symbolic_link_loop_is_refused(world: World):
    link = world.root / "loop"
    link.symlink_to("loop")
    with pytest.raises(ConfigError):
        auth_store.store(link, "a.b", ME, {})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": []}', '{"auths": {"c.d": 1}}'])
def test_invalid_file_is_not_changed(world: World, text: str):
    path = world.write("auth.json", text)
    with pytest.raises(ConfigError) as raised:
        auth_store.store(path, "a.b", ME, {})
    assert raised.value.path == str(path)
    assert path.read_text() == text


def test_fifo_or_directory_is_not_replaced(world: World):
    fifo = world.root / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, world.root):
        with pytest.raises(ConfigError) as raised:
            auth_store.store(path, "a.b", ME, {})
        assert raised.value.path == str(path)
    assert fifo.is_fifo()


def test_null_device_is_not_replaced():
    null = Path("/dev/null")
    with pytest.raises(ConfigError) as raised:
        auth_store.store(null, "a.b", ME, {})
    assert raised.value.path == str(null)
    assert null.is_char_device()


def test_uncreatable_directory_is_reported_with_hint(world: World):
    world.write("file", "x")
    with pytest.raises(ConfigError) as error:
        auth_store.store(world.root / "file" / "auth.json", "a.b", ME, {})
    assert isinstance(error.value.os_error, OSError)
    assert "--authfile" in (error.value.hint or "")


def test_removal_of_unknown_registry_writes_nothing(world: World):
    assert not auth_store.remove(world.root / "none" / "auth.json", "a.b", {})
    assert not (world.root / "none").exists()
    path = world.write("auth.json", '{"auths":{}}')
    assert not auth_store.remove(path, "a.b", {})
    assert path.read_text() == '{"auths":{}}'


def test_removal_covers_all_keys_of_registry_but_no_namespaces(world: World):
    path = world.write(
        "auth.json",
        {
            "auths": {
                "docker.io": entry(),
                "https://index.docker.io/v1/": entry(),
                "docker.io/library": entry(),
                "a.b": entry(),
            }
        },
    )
    assert auth_store.remove(path, "docker.io", {})
    assert list(content(path)["auths"]) == ["docker.io/library", "a.b"]
    assert auth_store.remove(path, "docker.io/library", {})
    assert list(content(path)["auths"]) == ["a.b"]


def test_remove_all_removes_entries_only(world: World):
    path = world.write("auth.json", {"auths": {"a.b": entry()}, "zeta": 1})
    auth_store.remove_all(path, {})
    assert content(path) == {"auths": {}, "zeta": 1}


def test_helper_of_registry_stores_credentials(world: World):
    program = world.helper("h", KEEPING_HELPER)
    path = world.write("auth.json", {"credHelpers": {"a.b": "h"}})
    where = auth_store.store(path, "a.b", ME, world.environment)
    assert where == "credential helper h"
    assert content(program.with_name(f"{program.name}.store")) == {
        "ServerURL": "a.b",
        "Username": "user",
        "Secret": "secret",
    }
    assert content(path) == {"credHelpers": {"a.b": "h"}}
    assert auth_store.remove(path, "a.b", world.environment)
    assert program.with_name(f"{program.name}.erased").read_text() == "a.b\n"


def test_docker_hub_url_is_not_a_namespace(world: World):
    program = world.helper("h", KEEPING_HELPER)
    path = world.write("auth.json", {"credHelpers": {"https://index.docker.io/v1/": "h"}})
    auth_store.store(path, DOCKER_HUB_KEY, ME, world.environment)
    stored = content(program.with_name(f"{program.name}.store"))
    assert (stored["ServerURL"], stored["Secret"]) == ("https://index.docker.io/v1/", "secret")
    assert auth_store.remove(path, DOCKER_HUB_KEY, world.environment)


def test_storing_replaces_other_keys_of_the_registry(world: World):
    document = {"auths": {"docker.io": entry("old"), "https://a.b/": entry("old"), "c.d": entry()}}
    path = world.write("auth.json", document)
    auth_store.store(path, DOCKER_HUB_KEY, ME, {})
    auth_store.store(path, "a.b", ME, {})
    assert content(path)["auths"] == {
        "c.d": entry(),
        DOCKER_HUB_KEY: entry(),
        "a.b": entry(),
    }
    world.helper("h", KEEPING_HELPER)
    path = world.write("auth.json", {"auths": {"a.b": entry("old")}, "credsStore": "h"})
    auth_store.store(path, "a.b", ME, world.environment)
    assert content(path)["auths"] == {"a.b": {}}


def test_null_entries_are_replaced(world: World):
    path = world.write("auth.json", {"auths": None})
    assert not auth_store.remove(path, "a.b", {})
    auth_store.store(path, "a.b", ME, {})
    assert content(path) == {"auths": {"a.b": entry()}}


def test_helper_refuses_namespace(world: World):
    world.helper("h", KEEPING_HELPER)
    path = world.write("auth.json", {"credHelpers": {"a.b": "h"}})
    with pytest.raises(ConfigError) as raised:
        auth_store.store(path, "a.b/team", ME, world.environment)
    assert raised.value.path == str(path)
    assert raised.value.hint is not None


def test_creds_store_stores_credentials_and_adds_empty_entry(world: World):
    program = world.helper("h", KEEPING_HELPER)
    path = world.write("auth.json", {"credsStore": "h"})
    auth_store.store(path, "docker.io", ME, world.environment)
    stored = content(program.with_name(f"{program.name}.store"))
    assert stored["ServerURL"] == "https://index.docker.io/v1/"
    assert content(path)["auths"] == {"https://index.docker.io/v1/": {}}
    assert auth_store.remove(path, "docker.io", world.environment)
    assert content(path)["auths"] == {}


def test_remove_all_erases_credentials_in_helpers(world: World):
    program = world.helper("h", KEEPING_HELPER)
    path = world.write("auth.json", {"credsStore": "h", "credHelpers": {"e.f": "h"}})
    auth_store.remove_all(path, world.environment)
    erased = program.with_name(f"{program.name}.erased").read_text().split()
    assert erased == ["e.f", "a.b", "c.d"]


def test_failing_helper_leaves_file_unchanged(world: World):
    world.helper("h", "echo locked; exit 1")
    path = world.write("auth.json", '{"credsStore":"h"}')
    with pytest.raises(CredentialHelperError):
        auth_store.store(path, "a.b", ME, world.environment)
    assert path.read_text() == '{"credsStore":"h"}'


def test_concurrent_stores_keep_all_entries(world: World):
    names = [f"r{number}.example" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: auth_store.store(world.auth_json, name, ME, {}), names))
    assert sorted(content(world.auth_json)["auths"]) == sorted(names)
    assert [path.name for path in world.auth_json.parent.iterdir()] == ["auth.json"]


KILLED_STORE = """
import os, signal, sys
from pathlib import Path
from bundler.config.credentials import auth_store
from bundler.config.registry_access import Credentials

os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
auth_store.store(Path(sys.argv[1]), "a.b", Credentials(username="user", password="secret"), {})
"""


@pytest.mark.parametrize(
    "change",
    [
        lambda path: auth_store.store(path, "c.d", ME, {}),
        lambda path: auth_store.remove(path, "c.d", {}),
        lambda path: auth_store.remove_all(path, {}),
    ],
    ids=["login", "logout", "logout-all"],
)
@pytest.mark.parametrize("exists", [False, True], ids=["new", "existing"])
def test_credentials_of_a_killed_process_are_removed(world: World, change, *, exists: bool):
    path = world.root / "auth.json"
    if exists:
        auth_store.store(path, "e.f", ME, {})
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_STORE, path],
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert killed.returncode == -signal.SIGKILL
    [part] = world.root.glob(".airbundle-*")
    assert b"dXNlcjpzZWNyZXQ=" in part.read_bytes()
    assert mode(part) == 0o600
    change(path)
    assert not list(world.root.glob(".airbundle-*"))


def test_unfinished_file_of_a_running_process_stays(world: World):
    with Directory.open(world.root) as directory, PartFile.create(directory, 0o600) as part:
        auth_store.store(world.root / "auth.json", "a.b", ME, {})
        assert part.is_named()


def test_locked_directory_is_refused_after_timeout(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(auth_store, "LOCK_TIMEOUT", 0.1)
    descriptor = os.open(world.root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(LockedError):
            auth_store.store(world.root / "auth.json", "a.b", ME, {})
    finally:
        os.close(descriptor)


@pytest.mark.interop
def test_skopeo_and_airbundle_read_each_others_credentials(world: World):
    path = world.root / "auth.json"
    auth_store.store(path, "a.b:5000", ME, {})
    auth_store.store(path, "c.d/team", ME, {})

    def skopeo(*arguments: str) -> str:
        command = [program("skopeo"), *arguments, "--authfile", str(path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert skopeo("login", "--get-login", "a.b:5000") == "user\n"
    assert skopeo("logout", "a.b:5000") == "Removed login credentials for a.b:5000\n"
    settings = world.settings(authfile=path)
    assert settings.get_access("a.b:5000").credentials.anonymous
    assert settings.get_access("c.d", "team/x").credentials == ME

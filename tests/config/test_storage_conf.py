"""Location of the local image store by containers-storage.conf(5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.config import storage_conf
from bundler.config.paths import ConfigPathOverrides
from bundler.errors import ConfigError


@pytest.fixture
def world(tmp_path):
    """Return a function that loads the storage of a user, with files below a temporary root."""

    def load(environment=None, *, uid=0, **files):
        for name, text in files.items():
            path = tmp_path / PATHS[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        given = {
            key: value.replace("@", str(tmp_path)) for key, value in (environment or {}).items()
        }
        places = storage_conf.locate(
            given,
            tmp_path / "home",
            uid,
            ConfigPathOverrides(
                etc=tmp_path / "etc", usr_share=tmp_path / "share", run=tmp_path / "run"
            ),
        )
        return storage_conf.load(places)

    return load


PATHS = {
    "etc": "etc/containers/storage.conf",
    "share": "share/containers/storage.conf",
    "home": "home/.config/containers/storage.conf",
    "named": "named.conf",
}


def test_root_uses_system_locations(world, tmp_path):
    found = world()
    assert found.root == Path("/var/lib/containers/storage")
    assert found.run_root == tmp_path / "run/containers/storage"
    assert found.driver is None


def test_users_have_their_own_locations(world, tmp_path):
    assert world(uid=7).root == tmp_path / "home/.local/share/containers/storage"
    assert world(uid=7).run_root == tmp_path / "run/user/7/containers"
    moved = world({"XDG_DATA_HOME": "/data", "XDG_RUNTIME_DIR": "/rt"}, uid=7)
    assert moved.root == Path("/data/containers/storage")
    assert moved.run_root == Path("/rt/containers")


def test_file_in_etc_precedes_file_in_usr_share(world):
    found = world(
        etc='[storage]\ndriver = "vfs"\ngraphroot = "/g"\nrunroot = "/r"\n',
        share='[storage]\ndriver = "overlay"\ngraphroot = "/other"\n',
    )
    assert (found.driver, found.root, found.run_root) == ("vfs", Path("/g"), Path("/r"))


def test_users_take_only_driver_from_system_file(world, tmp_path):
    found = world(uid=7, etc='[storage]\ndriver = "vfs"\ngraphroot = "/g"\nrunroot = "/r"\n')
    assert found.driver == "vfs"
    assert found.root == tmp_path / "home/.local/share/containers/storage"
    storage = world(uid=7, etc='[storage]\nrootless_storage_path = "$HOME/images-$UID"\n')
    assert storage.root == tmp_path / "home/images-7"


def test_file_of_user_precedes_system_file(world):
    found = world(
        uid=7, home='[storage]\ngraphroot = "/mine"\n', etc='[storage]\ndriver = "overlay"\n'
    )
    assert (found.root, found.driver) == (Path("/mine"), None)


def test_variable_specifies_file(world):
    found = world(
        {"CONTAINERS_STORAGE_CONF": "@/named.conf"}, named='[storage]\ngraphroot = "/n"\n'
    )
    assert found.root == Path("/n")


def test_missing_specified_file_is_refused(world):
    with pytest.raises(ConfigError) as raised:
        world({"CONTAINERS_STORAGE_CONF": "@/nowhere.conf"})
    assert raised.value.path is not None
    assert raised.value.path.endswith("nowhere.conf")


def test_variables_override_files(world):
    text = '[storage]\ndriver = "overlay"\n[storage.options.overlay]\nmount_program = "/m"\n'
    assert world(etc=text).options == {"overlay.mount_program": "/m"}
    found = world({"STORAGE_DRIVER": "vfs"}, etc=text)
    assert (found.driver, found.options) == ("vfs", {})
    found = world({"STORAGE_OPTS": "overlay.mount_program=/x,a=b"}, etc=text)
    assert found.options == {"overlay.mount_program": "/x", "a": "b"}


@pytest.mark.parametrize(
    "text",
    [
        "[storage",
        "storage = 1",
        "[storage]\ndriver = 1",
        '[storage]\ngraphroot = "here"',
        "[storage]\noptions = 1",
    ],
)
def test_invalid_file_is_refused_with_its_path(world, text):
    with pytest.raises(ConfigError) as raised:
        world(etc=text)
    assert raised.value.path is not None
    assert raised.value.path.endswith("storage.conf")

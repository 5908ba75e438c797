"""The commands in docs/tasks run from top to bottom against local registries."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from tests import preloaded
from tests.fakes import images
from tests.fakes.openpgp import GnuPG
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.name for path in (ROOT / "docs" / "tasks").glob("*.md"))
BLOCK = re.compile(r"^ *```(\w+)(?: ([^\n]+))?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

WITH_BUNDLE = {
    "check-a-bundle.md",
    "choose-platforms.md",
    "find-past-imports.md",
    "import-into-a-registry.md",
    "renew-a-bundle.md",
    "review-a-bundle.md",
    "sign-and-rotate-keys.md",
    "trace-an-image.md",
}
"""Pages that use the key pair and the bundle of the page about exports."""
WITHOUT_LOGIN = {"log-in-to-registries.md"}
WITHOUT_CERTIFICATE = {"import-into-a-registry.md"}
"""Pages that specify the registry's CA themselves."""

TAGS = {
    "library/nginx": ("1.26.9", "1.27", "1.27.1", "1.27.2", "1.27.2-alpine"),
    "prometheus/prometheus": ("v2.53.0", "v2.53.1", "v2.54.0", "v3.0.0"),
    "prometheus/node-exporter": ("v1.8.0", "v1.8.1", "v1.8.2"),
}
USER, PASSWORD = "ward", "secret"


class Site:
    """The registries on both sides, and an environment that can reach them."""

    def __init__(self, outside: FakeRegistry, inside: FakeRegistry, authority: trustme.CA) -> None:
        self.outside = outside
        self.inside = inside
        self.authority = authority

    def prepare(self, folder: Path, page: str) -> dict[str, str]:
        """Write the files that ``page`` requires into ``folder``; return the environment."""
        home = folder / "home"
        config = home / ".config" / "containers"
        config.mkdir(parents=True)
        plain_http = f'[[registry]]\nlocation = "{self.outside.host}"\ninsecure = true\n'
        (config / "registries.conf").write_text(plain_http)
        certificates = folder / "certs"
        certificates.mkdir()
        self.authority.cert_pem.write_to_path(str(certificates / "ca.crt"))
        if page not in WITHOUT_CERTIFICATE:
            shutil.copytree(certificates, config / "certs.d" / self.inside.host)
        if page not in WITHOUT_LOGIN:
            login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            auths = {"auths": {self.inside.host: {"auth": login}}}
            (config / "auth.json").write_text(json.dumps(auths))
        (folder / "username").write_text(USER)
        (folder / "password").write_text(PASSWORD)
        (folder / "passphrase").write_text("correct horse\n")
        (folder / "stick").mkdir()
        (folder / "run").mkdir()
        images.write_layout(folder / "layout", {"app": images.image()})
        program = folder / "path" / "airbundle"
        program.parent.mkdir()
        preloaded.install_client(program)
        return {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "LANG": "C.UTF-8",
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",  # noqa: TID251 - openssl
            "PYTHONPATH": str(ROOT),
        }

    def run(self, page: str, folder: Path, environment: dict[str, str], only: str = "") -> int:
        """Write the files of a page and run its commands in order; return their number.

        Only commands that match the regular expression ``only`` are run.
        """
        count = 0
        for language, info, body in BLOCK.findall(_read_page(page)):
            if language == "yaml" and info:
                (folder / info).write_text(self._replace_paths_and_hosts(body, folder))
            elif language == "console" and info != "no-run":
                for command in _parse_commands(body):
                    if re.search(only, command):
                        self._run(command, folder, environment)
                        count += 1
        return count

    def _run(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        if re.search(r"^airbundle (keygen|sign) | --sign-key ", command):
            command += " --passphrase-file passphrase"
        result = subprocess.run(
            ["bash", "-c", self._replace_paths_and_hosts(command, folder)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"

    def _replace_paths_and_hosts(self, text: str, folder: Path) -> str:
        """Replace the medium and the registries in ``text`` with those of this test."""
        text = text.replace("/media/stick", str(folder / "stick"))
        text = text.replace("registry.plant:5000", self.inside.host)
        return re.sub(r"\b(docker|quay)\.io\b", self.outside.host, text)


def _read_page(page: str) -> str:
    return (ROOT / "docs" / "tasks" / page).read_text(encoding="utf-8")


RUN = [name for name in PAGES if "```console\n" in _read_page(name)]


def _parse_commands(block: str) -> list[str]:
    lines = [line.strip() for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


@pytest.fixture(scope="module")
def outside() -> Iterator[FakeRegistry]:
    """The registries on the connected side."""
    with FakeRegistry() as registry:
        for repository, tags in TAGS.items():
            for tag in tags:
                image = images.multi_platform(tag, "linux/amd64", "linux/arm64")
                images.push(registry.host, repository, image, tag)
        yield registry


@pytest.fixture
def site(outside: FakeRegistry) -> Iterator[Site]:
    """Both sides; the registry inside requires TLS and a login, and has one image."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FakeRegistry(auth="basic", username=USER, password=PASSWORD, tls=context) as inside:
        inside.add_image("tools/app", "1")
        yield Site(outside, inside, authority)


@pytest.fixture
def gnupg() -> Iterator[GnuPG]:
    """An empty home directory of gpg."""
    home = GnuPG()
    yield home
    home.close()


@pytest.mark.parametrize("page", RUN)
def test_commands_of_task_page_run(page: str, site: Site, gnupg: GnuPG, tmp_path: Path) -> None:
    environment = site.prepare(tmp_path, page) | {"GNUPGHOME": str(gnupg.home)}
    if page in WITH_BUNDLE:
        site.run("export-to-a-medium.md", tmp_path, environment, only="keygen|export")
    assert site.run(page, tmp_path, environment) > 0


def test_index_of_task_pages_lists_every_page() -> None:
    linked = re.findall(r"\]\(([^)]+\.md)\)", _read_page("README.md"))
    assert sorted(linked) == [name for name in PAGES if name != "README.md"]

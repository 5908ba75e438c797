"""Skopeo and airbundle interpret the same configuration files alike."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.oci.reference import ImageReference
from tests.config.world import World, entry
from tests.interop.servers import program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop

CLOSED_PORT = "127.0.0.1:1"  # refuses connections, so that each endpoint fails immediately
DIGEST = "sha256:" + "a" * 64
REGISTRIES_CONF = f"""
[[registry]]
prefix = "a.example"
location = "{CLOSED_PORT}/a"
[[registry.mirror]]
location = "{CLOSED_PORT}/m1"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "{CLOSED_PORT}/m2"
pull-from-mirror = "tag-only"

[[registry]]
prefix = "a.example/team"
location = "{CLOSED_PORT}/team"

[[registry]]
prefix = "a.example/team/app:v2"
location = "{CLOSED_PORT}/second"

[[registry]]
prefix = "*.wild.example"
location = "{CLOSED_PORT}/wild"

[[registry]]
prefix = "docker.io"
location = "{CLOSED_PORT}/hub"
mirror-by-digest-only = true
[[registry.mirror]]
location = "{CLOSED_PORT}/cache"

[[registry]]
prefix = "docker.io/library/nginx"
location = "{CLOSED_PORT}/web/server"
"""


@pytest.mark.parametrize(
    "image",
    [
        "a.example/x:1",
        f"a.example/x@{DIGEST}",
        "a.example/team/app:v1",
        "a.example/team:v1",
        "a.example/teams/app:v1",
        "one.wild.example/x/y:1",
        "one.two.wild.example/x:1",
        "nginx:1",
        "redis:1",
        f"redis@{DIGEST}",
        "nginx/x:1",
    ],
)
def test_endpoints_equal_those_of_skopeo(world: World, image: str):
    path = world.write("registries.conf", REGISTRIES_CONF)
    done = subprocess.run(
        [
            program("skopeo"),
            *("--debug", "--registries-conf", str(path)),
            *("inspect", "--tls-verify=false", f"docker://{image}"),
        ],
        env={
            "HOME": str(world.home),
            "HTTP_PROXY": f"http://{CLOSED_PORT}",  # nothing leaves the machine if they disagree
            "HTTPS_PROXY": f"http://{CLOSED_PORT}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    tried = re.findall(r'msg="Trying to access \\"(.*?)\\""', done.stderr)
    assert tried, done.stderr
    reference = ImageReference.parse(image)
    version = f"@{reference.digest}" if reference.digest else f":{reference.tag}"
    endpoints = world.settings(registries_conf=path).list_endpoints(reference)
    assert [f"{endpoint.host}/{endpoint.path}{version}" for endpoint in endpoints] == tried


@pytest.mark.parametrize(
    "name",
    [
        "a.b",
        "a.b/team",
        "a.b/team/app",
        "a.b/team/other/x",
        "a.b/teams",
        "a.b:5000",
        "url.b",
        "url.b/x",
        "path.b",
        "path.b/v1",
        "docker.io",
        "docker.io/library/x",
        "none.b",
    ],
)
def test_credentials_equal_those_of_skopeo(world: World, name: str):
    path = world.write(
        "auth.json",
        {
            "auths": {
                key: entry(f"user{number}")
                for number, key in enumerate(
                    [
                        "a.b",
                        "a.b/team",
                        "a.b/team/app",
                        "https://url.b",
                        "https://path.b/v1/",
                        "https://index.docker.io/v1/",
                    ]
                )
            }
        },
    )
    host, _, namespace = name.partition("/")
    ours = world.settings(authfile=path).get_access(host, namespace).credentials.username
    assert ours == _logged_in(path, name)


def _logged_in(authfile: Path, name: str) -> str | None:
    done = subprocess.run(
        [program("skopeo"), "login", "--get-login", "--authfile", str(authfile), name],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None

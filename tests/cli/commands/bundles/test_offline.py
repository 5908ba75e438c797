"""``verify --offline`` and ``export --rehearse``: an import without a target or a network."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

KEY = keys.generate_key()
OFFLINE = ("verify", "bundle", "--key", "key.pub", "--offline")
SERIAL = 1_700_000_000
ACCEPT = [{"type": "insecureAcceptAnything"}]
REJECT = {"default": [{"type": "reject"}]}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with a signed bundle that is valid until the end of February 2027."""
    (tmp_path / "key.pub").write_bytes(KEY.public.to_pem())
    bundles.write(tmp_path / "bundle", keys=(KEY,), serial=SERIAL, expires="2027-02-28T12:00:00Z")
    return tmp_path


def test_rehearsal_lists_images_and_writes_nothing(site: Path, run_airbundle: RunAirbundle):
    before = sorted(site.rglob("*"))
    result = run_airbundle(*OFFLINE, "--json", "--insecure-policy")
    assert result.status == 0, result.stderr
    rehearsal = json.loads(result.stdout)["rehearsal"]
    assert [image["reference"] for image in rehearsal["images"]] == list(bundles.REFERENCES)
    assert rehearsal["policy"] == {"status": "ignored"}
    assert sorted(site.rglob("*")) == before
    assert (
        "2 images can be imported; no policy" in run_airbundle(*OFFLINE, "--insecure-policy").stdout
    )


@pytest.mark.parametrize(
    ("day", "status"), [("2027-02-27", 0), ("2027-02-28", 4), ("2027-03-01", 4), ("2030-01-01", 4)]
)
@pytest.mark.parametrize("offline", [True, False])
def test_bundle_is_checked_as_of_the_given_day(
    site: Path, run_airbundle: RunAirbundle, day: str, status: int, offline: bool
):
    options = OFFLINE if offline else OFFLINE[:-1]
    result = run_airbundle(*options, "--at", day)
    assert result.status == status
    assert "clock" not in result.stderr


@pytest.mark.parametrize("offline", [True, False])
def test_expired_trust_file_as_of_a_day_is_not_blamed_on_the_clock(
    site: Path, run_airbundle: RunAirbundle, offline: bool
):
    add = ("trust", "add", "1.json", "--key", "key.pub", "--role", "trust", "--role", "bundle")
    assert run_airbundle(*add, "--expires", "2027-01-31").status == 0
    options = ("verify", "bundle", "--trust", "1.json", *(["--offline"] if offline else []))
    result = run_airbundle(*options, "--at", "2027-02-01")
    assert result.status == 4
    assert "the trust file expired" in result.stderr
    assert "clock" not in result.stderr


def test_day_must_be_a_date(site: Path, run_airbundle: RunAirbundle):
    assert run_airbundle(*OFFLINE, "--at", "tomorrow").status == 2


def test_policy_applies_as_in_an_import(site: Path, run_airbundle: RunAirbundle):
    (site / "policy.json").write_text(json.dumps(REJECT))
    refused = run_airbundle(*OFFLINE, "--policy", "policy.json")
    assert (refused.status, "can be imported" in refused.stdout) == (4, False)


@pytest.mark.parametrize("limits", [{}, {"registry.corp:5000": ACCEPT}])
def test_all_rejected_images_and_the_policy_file_are_named(
    site: Path, run_airbundle: RunAirbundle, limits: dict[str, object]
):
    (site / "policy.json").write_text(json.dumps(REJECT | {"transports": {"docker": limits}}))
    options = ("--allow-unsigned", "--reason", "test", "--policy", "policy.json")
    for command in ((*OFFLINE, "--policy", "policy.json"), ("import", "bundle", "oci:x", *options)):
        refused = run_airbundle(*command)
        assert refused.status == 4
        assert "policy.json" in refused.stderr
        nginx, app = bundles.REFERENCES
        assert nginx in refused.stderr
        assert (app in refused.stderr) == (not limits)


def test_accepting_policy_is_named(site: Path, run_airbundle: RunAirbundle):
    (site / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    result = run_airbundle(*OFFLINE, "--policy", "policy.json", "--only", "nginx")
    assert result.status == 0, result.stderr
    assert "1 image can be imported; policy.json accepts it" in result.stdout


def test_records_apply_as_in_an_import(site: Path, run_airbundle: RunAirbundle):
    bundles.write(site / "new", keys=(KEY,), serial=SERIAL + 1)
    bundles.write(site / "other", keys=(KEY,), stream="other")
    importing = ("import", "new", "oci:inside", "--key", "key.pub", "--records", "records")
    assert run_airbundle(*importing).status == 0
    refused = run_airbundle(*OFFLINE, "--records", "records")
    assert refused.status == 4
    assert "older than the bundle imported before" in refused.stderr
    assert "--allow-rollback" not in refused.stderr  # an option of import only
    other = ("verify", "other", *OFFLINE[2:], "--records", "records")
    assert run_airbundle(*other).status == 4
    assert run_airbundle(*other, "--adopt").status == 0
    assert run_airbundle("log", "show", "--records", "records").stdout.count("\n") == 2


def find_names(output: str) -> list[str]:
    return [image["name"] for image in json.loads(output)["rehearsal"]["images"]]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["library/nginx:1.27", "infra/app:v2.1"]),
        (("--keep-host",), ["docker.io/library/nginx:1.27", "registry.corp-5000/infra/app:v2.1"]),
        (("--only", "nginx", "--names", "docker.io/library=web"), ["web/nginx:1.27"]),
        (
            ("--target", "docker://inside:5000/mirror"),
            ["inside:5000/mirror/library/nginx:1.27", "inside:5000/mirror/infra/app:v2.1"],
        ),
        (
            ("--target", "dir:inside"),
            ["dir:inside:library/nginx/1.27", "dir:inside:infra/app/v2.1"],
        ),
    ],
)
def test_target_names_are_those_of_the_import(
    site: Path, run_airbundle: RunAirbundle, options: tuple[str, ...], names: list[str]
):
    result = run_airbundle(*OFFLINE, "--json", *options)
    assert result.status == 0, result.stderr
    assert find_names(result.stdout) == names
    importing = list(options)
    target = importing.pop(importing.index("--target") + 1) if "--target" in options else "oci:to"
    importing = [option for option in importing if option != "--target"]
    if not target.startswith("docker:"):
        command = ("import", "bundle", target, "--key", "key.pub", "--dry-run", "--json")
        images = json.loads(run_airbundle(*command, *importing).stdout)["images"]
        assert [image["name"].removeprefix("oci:to:") for image in images] == names


def test_target_file_is_rehearsed(site: Path, run_airbundle: RunAirbundle):
    """Its settings determine the target names; its registry is not accessed."""
    (site / "inside.yaml").write_text(
        "target: docker://registry.plant:5000/x\nkeepHost: true\nnames: {registry.corp:5000: own}\n"
    )
    result = run_airbundle(*OFFLINE, "--target", "inside.yaml")
    assert result.status == 0, result.stderr
    assert "registry.plant:5000/x/own/infra/app:v2.1" in result.stdout
    assert "registry.plant:5000/x/docker.io/library/nginx:1.27" in result.stdout


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--names", "docker.io/library/nginx=infra/app:v2.1"), 2),
        (("--names", "docker.io/library/nginx:1.27=infra/app:v2.1"), 10),
        (("--names", "docker.io/library=UPPER"), 2),
        (("--only", "nothing"), 9),
        (("--only", "("), 2),
        (("--names", "x"), 2),
        (("--target", "registry.plant"), 2),
        (("--target", "missing.yaml"), 9),
    ],
)
def test_names_that_an_import_refuses_are_refused(
    site: Path, run_airbundle: RunAirbundle, options: tuple[str, ...], status: int
):
    refused = run_airbundle(*OFFLINE, *options)
    assert refused.status == status, refused.stderr
    assert "can be imported" not in refused.stdout


def test_options_of_the_rehearsal_need_offline(site: Path, run_airbundle: RunAirbundle):
    for options in (("--target", "oci:x"), ("--names", "a=b"), ("--keep-host",), ("--only", "x")):
        assert run_airbundle(*OFFLINE[:-1], *options).status == 2


def test_damage_is_reported_as_by_verify(site: Path, run_airbundle: RunAirbundle):
    bundles.find_largest_blob(site / "bundle").unlink()
    assert run_airbundle(*OFFLINE).status == 3


def test_export_is_rehearsed(site: Path, run_airbundle: RunAirbundle):
    (site / "images.txt").write_text("oci:bundle:docker.io/library/nginx:1.27\n")
    keys.write_key_pair(site / "sign", KEY, None)
    export = ("export", "images.txt", "stick", "--rehearse")
    result = run_airbundle(*export, "--sign-key", "sign.key")
    assert result.status == 0, result.stderr
    assert "rehearsed without a network: 1 image can be imported" in result.stdout
    target = ("--rehearse-target", "docker://inside:5000/mirror")
    unsigned = run_airbundle(*export[:2], "unsigned", *target, "--unsigned", "--json")
    assert find_names(unsigned.stdout) == ["inside:5000/mirror/library/nginx:1.27"]
    refused = run_airbundle(*export[:2], "none", "--unsigned", "--rehearse-target", "none.yaml")
    assert (refused.status, (site / "none").exists()) == (9, False)


def test_export_reports_what_it_wrote_if_an_import_would_fail(
    site: Path, run_airbundle: RunAirbundle
):
    """Two images differ only in their registries, so that their target names collide."""
    names = ("a.example/app:1", "b.example/app:1")
    images.write_layout(
        site / "layout", {name: images.image(images.layer({name: b""})) for name in names}
    )
    (site / "images.txt").write_text("".join(f"oci:layout:{name}\n" for name in names))
    result = run_airbundle("export", "images.txt", "stick", "--unsigned", "--rehearse")
    assert result.status == 10, result.stderr
    assert "stick: written: " in result.stdout
    assert "rehearsed" not in result.stdout
    importing = ("import", "stick", "oci:inside", "--allow-unsigned", "--reason", "test")
    assert run_airbundle(*importing).status == 10


SOCKETS = """
import socket, subprocess, sys
from bundler.cli.runtime.importing import offline
from bundler.errors import OfflineError
isolated = offline.leave_network()
refused = []
with offline.refuse_sockets():
    for attempt in (
        lambda: socket.socket(),
        lambda: socket.socket(socket.AF_UNIX).connect("/run/docker.sock"),
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: socket.getaddrinfo("registry.example", 443),
    ):
        try:
            attempt()
        except OfflineError as error:
            refused.append(error.operation)
interfaces = subprocess.run(["cat", "/proc/net/dev"], capture_output=True, text=True).stdout
print(isolated, len(refused), sum(":" in line for line in interfaces.splitlines()))
socket.socket().close()
"""


def run_sockets() -> list[str]:
    output = subprocess.run([sys.executable, "-c", SOCKETS], capture_output=True, check=True)
    return output.stdout.decode().split()


def test_no_socket_can_be_created():
    assert run_sockets()[1] == "4"


@pytest.mark.kernel("network namespaces")
def test_programs_have_no_network_interface_but_loopback():
    assert run_sockets() == ["True", "4", "1"]

"""``airbundle serve``: its options, and its output at the start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

UNSIGNED = ("--allow-unsigned", "--reason", "a test", "--port", "0")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "b")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_start_is_described(run_airbundle: RunAirbundle, bundle: Path, options: list[str]):
    result = run_airbundle("--command-timeout", "1s", "serve", bundle, *UNSIGNED, *options)
    assert (result.status, "a test" in result.stderr) == (0, True)
    if options:
        described = json.loads(result.stdout)
        names = [image["name"] for image in described["images"]]
        assert names == ["library/nginx:1.27", "infra/app:v2.1"]
        assert described["url"].startswith("http://127.0.0.1:")
    else:
        assert "library/nginx:1.27" in result.stdout
        assert "http://127.0.0.1:" in result.stdout.splitlines()[-1]


def test_unsigned_bundle_needs_a_reason(run_airbundle: RunAirbundle, bundle: Path):
    assert run_airbundle("serve", bundle).status == 4
    assert run_airbundle("serve", bundle, "--allow-unsigned").status == 2
    assert run_airbundle("serve", bundle, "--allow-expired").status == 2
    assert run_airbundle("serve", bundle, "--allow-unsigned", "--reason", "\n").status == 2


def test_policy_is_applied(run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path):
    (tmp_path / "policy.json").write_text('{"default": [{"type": "reject"}]}')
    result = run_airbundle("--policy", "policy.json", "serve", bundle, *UNSIGNED)
    assert (result.status, result.stdout) == (4, "")


def test_damage_is_found_first(run_airbundle: RunAirbundle, bundle: Path):
    largest = bundles.find_largest_blob(bundle)
    data = bytearray(largest.read_bytes())
    data[-1] ^= 1
    largest.write_bytes(data)
    assert run_airbundle("serve", bundle, *UNSIGNED, "--verify-first").status == 3


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_network_needs_tls(run_airbundle: RunAirbundle, bundle: Path, address: str):
    assert run_airbundle("serve", bundle, *UNSIGNED, "--listen", address).status == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--listen", "localhost"],
        ["--listen", ""],
        ["--port", "65536"],
        ["--tls-cert", "server.pem"],
        ["--tls-key", "server.key"],
        ["--tls-cert", "server.pem", "--tls-key", "other.key"],
        ["--tls-cert", "absent", "--tls-key", "server.key"],
        ["--htpasswd", "absent"],
        ["--htpasswd", "server.pem"],
        ["--prefix", "../x"],
        ["--names", "x"],
        ["--signature", "server.pem", "b"],
    ],
)
def test_inconsistent_options_are_refused(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path, options: list[str]
):
    authority = trustme.CA()
    own, other = (authority.issue_cert("127.0.0.1") for _ in range(2))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    other.private_key_pem.write_to_path(str(tmp_path / "other.key"))
    result = run_airbundle("serve", bundle, *UNSIGNED, *options)
    assert (result.status, result.stdout) == (2, "")

"""A command imports only the modules that its run needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images, notation
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import atexit, sys
from bundler.cli.main import main
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
main(sys.argv[1:])
"""

YAML = {"yaml", "jsonschema"}
KEYS = {"cryptography", "nacl"}
CRYPTOGRAPHY = KEYS | {"_cffi_backend", "cbor2", "jwcrypto", "pysequoia", "rfc3161_client"}
NETWORK = {"requests", "urllib3", "ssl"}
COMPRESSION = {"zstandard", "lzma", "bz2"}


@pytest.fixture
def imported_modules(tmp_path: Path, hermetic_environment: dict[str, str]):
    """Run a command beside a layout and a bundle; return the modules that it imported."""

    def run(*arguments: str) -> set[str]:
        result = subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            cwd=tmp_path,
            env=hermetic_environment,
            capture_output=True,
            text=True,
            check=False,
        )
        *messages, modules = result.stderr.splitlines()
        assert result.returncode == 0, messages
        return set(modules.split())

    images.write_layout(tmp_path / "layout", {"app": images.image()})
    (tmp_path / "apps.txt").write_text("oci:layout:app\n")
    run("export", "--unsigned", "apps.txt", "bundle")
    return run


def test_copy_imports_nothing_of_signatures(imported_modules) -> None:
    imported = imported_modules("copy", "oci:layout:app", "dir:image")
    policy = {  # loaded where a policy.json exists
        "bundler.trust",
        "bundler.trust.policy",
        "bundler.trust.policy.policy",
    }
    assert {name for name in imported if name.startswith("bundler.trust")} <= policy


def test_local_copy_imports_no_network_keys_or_yaml(imported_modules) -> None:
    imported = imported_modules("copy", "oci:layout:app", "dir:image")
    assert not imported & (YAML | KEYS | NETWORK | COMPRESSION)


def test_unsigned_export_imports_no_keys(imported_modules) -> None:
    imported = imported_modules("export", "--unsigned", "apps.txt", "bundle")
    assert not imported & (KEYS | {"requests", "zstandard"})


def test_unsigned_export_of_unsigned_image_imports_nothing_of_signatures(imported_modules) -> None:
    imported = imported_modules("export", "--unsigned", "apps.txt", "new")
    assert not {name for name in imported if name.startswith("bundler.trust")}
    assert not imported & {
        "bundler.bundle.format.signatures.image_signatures",
        "bundler.bundle.exporting.resolving.verify_signatures",
        "bundler.cli.runtime.signing.bundle_signers",
        "bundler.cli.runtime.policy_file",
        "bundler.cli.runtime.trusted_keys",
        "bundler.copy.signature_requirements",
        "bundler.oci.signature",
    }


def test_import_without_keys_and_target_file_imports_no_keys_or_yaml(imported_modules) -> None:
    imported = imported_modules(
        "import", "--allow-unsigned", "--reason", "test", "bundle", "oci:inside"
    )
    evidence = {"zstandard"}
    assert not imported & (YAML | KEYS | NETWORK | COMPRESSION - evidence)


@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "oci:layout:app"],
        ["inspect", "--tls-verify=false", "docker://{}/library/app:1"],
        ["list-tags", "--tls-verify=false", "docker://{}/library/app"],
        ["copy", "--src-tls-verify=false", "docker://{}/library/app:1", "dir:image"],
        ["copy", "--dest-tls-verify=false", "oci:layout:app", "docker://{}/library/new:1"],
        [
            "sync",
            "--src-tls-verify=false",
            "--src",
            "docker",
            "--dest",
            "dir",
            "{}/library/app",
            ".",
        ],
        ["delete", "--tls-verify=false", "docker://{}/library/app:1"],
        ["manifest-digest", "layout/index.json"],
        ["plan", "apps.txt"],
    ],
    ids=lambda words: f"{words[0]} {words[-1]}",
)
def test_command_that_signs_nothing_imports_no_cryptography(imported_modules, command) -> None:
    with FakeRegistry() as registry:
        registry.add_image("library/app", "1", layers=[b"base"])
        imported = imported_modules(*(word.format(registry.host) for word in command))
    assert not imported & CRYPTOGRAPHY
    policy = {  # loaded where a policy.json exists
        "bundler.trust",
        "bundler.trust.policy",
        "bundler.trust.policy.policy",
    }
    assert {name for name in imported if name.startswith("bundler.trust")} <= policy


def test_verification_with_public_key_imports_nothing_of_private_keys(imported_modules) -> None:
    imported_modules("keygen", "--no-passphrase", "site")
    imported_modules("export", "apps.txt", "signed", "--sign-key", "site.key")
    imported = imported_modules("verify", "signed", "--key", "site.pub")
    assert not imported & {
        "bundler.trust.private_keys.decrypt_key",
        "bundler.trust.private_keys.encrypted_key",
        "bundler.content.run_program",
        "subprocess",
    }


def test_ls_imports_only_bundle_modules(imported_modules) -> None:
    assert not imported_modules("ls", "bundle") & (YAML | KEYS | NETWORK | COMPRESSION)


def test_notation_signature_in_jws_loads_no_other_format(imported_modules, tmp_path) -> None:
    image = images.image()
    signature = notation.Signature(notation.create_signer(root=notation.ROOT), image.root)
    signed = notation.artifact(image, signature.to_jws())
    images.write_layout(tmp_path / "signed", {"app": image, "signature": signed})
    notation.write_trust(tmp_path, {"ca:corp": [notation.ROOT.certificate]})
    (tmp_path / "signed.yaml").write_text(
        "images:\n- ref: oci:signed:app\n  verify:\n"
        "  - notation: {policy: trustpolicy.json, trustStore: truststore}\n"
    )
    imported = imported_modules("export", "--unsigned", "signed.yaml", "new")
    assert "bundler.trust.notation.jws" in imported
    assert not imported & {"cbor2", "rfc3161_client", "bundler.trust.sigstore.bundle", "nacl"}

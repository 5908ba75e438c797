"""The commands in VERIFY.txt run as printed, with the programs that they name."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.format.signatures import bundle_signatures
from bundler.bundle.format.writing import instructions
from bundler.trust import keys
from bundler.trust.sigstore.bundle import parse_bundle
from tests.fakes import archives, bundles
from tests.interop import servers

if TYPE_CHECKING:
    from bundler.bundle.format.inventory.inventory import Inventory

SIGNER, OTHER = keys.generate_key(), keys.generate_key("ed25519")
PROGRAMS = ("openssl", "sha256sum", "skopeo", "grep", "sed", "cut")
NAMES = {"library/nginx": "1.27", "infra/app": "v2.1"}


def find_commands(text: str) -> list[str]:
    """Return the commands that a reader would paste."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def render(contents: Inventory, signers: list[keys.PublicKey]) -> bytes:
    return instructions.render(contents.stream, contents.format, contents.images, signers)


def create_bundle(directory: Path, form: str, signers: tuple[keys.PrivateKey, ...]) -> Path:
    """Create a bundle with its VERIFY.txt."""
    bundle = bundles.write(directory, form=form)
    contents = parse_inventory((bundle / "bundle.json").read_bytes())
    (bundle / "VERIFY.txt").write_bytes(render(contents, [key.public for key in signers]))
    value = json.loads((bundle / "bundle.json").read_bytes())
    value.pop("sums")
    bundles.seal(bundle, value, signers)
    (bundle / "signer.pub").write_bytes(signers[0].public.to_pem())
    return bundle


def run_shell(
    script: str, home: Path, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run lines of shell as a user would, with only the usual programs."""
    shell = servers.Client((servers.program("bash"), "-euo", "pipefail", "-c"), home)
    env = shell.env() | environment
    return subprocess.run(
        [*shell.command, script], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def home(tmp_path: Path, registry: servers.Registry) -> Path:
    """A home directory in which skopeo accepts any image, and plain HTTP from the registry."""
    for name in PROGRAMS:
        servers.program(name)
    config = tmp_path / "home" / ".config" / "containers"
    config.mkdir(parents=True)
    (config / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (config / "registries.conf").write_text(
        f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n'
    )
    return tmp_path / "home"


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_commands_verify_and_import_bundle(
    tmp_path: Path, home: Path, registry: servers.Registry, repository: str, form: str
):
    bundle = create_bundle(tmp_path / "b", form, (SIGNER,))
    lines = find_commands((bundle / "VERIFY.txt").read_text())
    script = "\n".join(line for line in lines if not line.startswith(("airbundle", "cosign")))
    target = f"docker://{registry.host}/{repository}"
    done = run_shell(script, home, bundle, TARGET=target)
    assert done.returncode == 0, done.stderr
    assert "Verified OK" in done.stdout
    assert "SHA256SUMS: OK" in done.stdout
    assert SIGNER.public.id in done.stdout
    assert '"stream":"plant-7"' in done.stdout
    assert '"serial":' in done.stdout
    for image, (name, tag) in zip(bundles.sample().values(), NAMES.items(), strict=True):
        inspect = f"skopeo inspect --raw {target}/{name}:{tag} | sha256sum"
        assert run_shell(inspect, home, bundle).stdout.split()[0] == image.digest.removeprefix(
            "sha256:"
        )


def test_commands_verify_and_import_archive(
    tmp_path: Path, home: Path, registry: servers.Registry, repository: str
):
    bundle = bundles.write(tmp_path / "b")
    contents = parse_inventory((bundle / "bundle.json").read_bytes())
    (bundle / "VERIFY.txt").write_bytes(
        instructions.render(contents.stream, "oci", contents.images, [SIGNER.public], archive=True)
    )
    value = json.loads((bundle / "bundle.json").read_bytes())
    value.pop("sums")
    bundles.seal(bundle, value, (SIGNER,))
    raw = (bundle / "bundle.json").read_bytes()
    for name, content in bundle_signatures.sign(raw, [SIGNER]).items():
        (bundle / name).write_bytes(content)
    medium = tmp_path / "medium"
    medium.mkdir()
    packed = archives.pack(archives.list_members(bundle, (SIGNER,)))
    (medium / "plant-7.airbundle").write_bytes(packed)
    (medium / "signer.pub").write_bytes(SIGNER.public.to_pem())
    lines = find_commands((bundle / "VERIFY.txt").read_text())
    script = "\n".join(line for line in lines if not line.startswith(("airbundle", "cosign")))
    target = f"docker://{registry.host}/{repository}"
    done = run_shell(script, home, medium, TARGET=target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verified OK" in done.stdout
    layer = max(bundle.glob("blobs/sha256/*"), key=lambda path: path.stat().st_size).read_bytes()
    (medium / "plant-7.airbundle").write_bytes(packed.replace(layer, layer[:-1] + b"?"))
    damaged = run_shell(script, home, medium, TARGET=target)
    assert damaged.returncode != 0
    assert "FAILED" in damaged.stdout


def test_each_signature_has_its_own_command(tmp_path: Path, home: Path):
    bundle = create_bundle(tmp_path / "b", "oci", (SIGNER, OTHER))
    text = (bundle / "VERIFY.txt").read_text()
    for key in (SIGNER, OTHER):
        assert key.public.fingerprint in text
        (bundle / "signer.pub").write_bytes(key.public.to_pem())
        (line,) = [line for line in find_commands(text) if key.public.id[:16] in line]
        good = run_shell(line, home, bundle)
        assert good.returncode == 0, good.stderr
        raw = (bundle / "bundle.json").read_bytes()
        (bundle / "bundle.json").write_bytes(raw.replace(b"plant-7", b"plant-8"))
        assert run_shell(line, home, bundle).returncode != 0
        (bundle / "bundle.json").write_bytes(raw)


def test_cosign_verifies_first_signature_on_p256(tmp_path: Path, home: Path):
    """cosign, which Debian 12 does not have, accepted these options in a recorded case."""
    bundle = create_bundle(tmp_path / "b", "oci", (OTHER, SIGNER))
    raw = (bundle / "bundle.json").read_bytes()
    for name, content in bundle_signatures.sign(raw, [OTHER, SIGNER]).items():
        (bundle / name).write_bytes(content)
    (bundle / "signer.pub").write_bytes(SIGNER.public.to_pem())
    text = (bundle / "VERIFY.txt").read_text()
    (line,) = [line for line in find_commands(text) if line.startswith("cosign")]
    assert text.index(line) > text.index(SIGNER.public.id[:16])
    recorded = json.loads(Path(__file__).with_name("sigstore_peers.json").read_bytes())
    (case,) = [case for case in recorded["cases"] if case["case"] == "bundle of a file"]
    assert case["accepted"]
    names = {"site.pub": "signer.pub", "file.json": "bundle.json.sigstore.json"}
    words = [names.get(word, word) for word in case["command"].split()[:-1]]
    assert line.split() == [*words, "bundle.json"]
    stored = parse_bundle((bundle / "bundle.json.sigstore.json").read_bytes())
    SIGNER.public.verify(stored.signature, raw)
    if shutil.which("cosign"):
        good = run_shell(line, home, bundle)
        assert good.returncode == 0, good.stderr
        (bundle / "bundle.json").write_bytes(raw.replace(b"plant-7", b"plant-8"))
        assert run_shell(line, home, bundle).returncode != 0


def test_no_cosign_command_without_signature_on_p256(tmp_path: Path):
    bundle = create_bundle(tmp_path / "b", "oci", (OTHER,))
    assert "cosign" not in (bundle / "VERIFY.txt").read_text()


def test_commands_verify_signature_that_was_added_later(tmp_path: Path, home: Path):
    bundle = create_bundle(tmp_path / "b", "oci", (SIGNER,))
    contents = parse_inventory((bundle / "bundle.json").read_bytes())
    text = render(contents, []).decode()
    (line,) = [line for line in find_commands(text) if line.startswith("openssl dgst")]
    assert run_shell(line, home, bundle).returncode == 0


@pytest.mark.parametrize("damaged", ["SHA256SUMS", "index.json"])
def test_commands_detect_damage(tmp_path: Path, home: Path, damaged: str):
    bundle = create_bundle(tmp_path / "b", "oci", (SIGNER,))
    lines = find_commands((bundle / "VERIFY.txt").read_text())
    script = "\n".join(line for line in lines if "sha256sum -c" in line)
    assert run_shell(script, home, bundle).returncode == 0
    with (bundle / damaged).open("a") as file:
        file.write("\n")
    assert run_shell(script, home, bundle).returncode != 0


def test_hostile_target_name_is_quoted(tmp_path: Path, home: Path):
    """A target name is input from outside; pasting the commands must not execute it."""
    hostile = "x:1 $(touch pwned); `touch pwned` 'touch pwned' \" & touch pwned"
    bundle = bundles.write(tmp_path / "b")
    contents = parse_inventory((bundle / "bundle.json").read_bytes())
    images = tuple(replace(image, rename=hostile) for image in contents.images[:1])
    contents = replace(contents, images=images)
    text = render(contents, []).decode()
    (line,) = [line for line in find_commands(text) if line.startswith("skopeo")]
    run_shell(line, home, bundle, TARGET="dir:nowhere")
    assert not list(tmp_path.rglob("pwned"))


def test_long_list_of_images_is_truncated(tmp_path: Path):
    image = next(iter(bundles.sample().values()))
    named = {f"registry.corp/app-{number}:1": image for number in range(60)}
    bundle = bundles.write(tmp_path / "b", named)
    contents = parse_inventory((bundle / "bundle.json").read_bytes())
    text = render(contents, []).decode()
    assert text.count("skopeo copy") == 50
    assert "10 more" in text

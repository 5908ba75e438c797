"""Archives that are encrypted with age, also by the program of that name."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from pyrage import x25519

from bundler.trust import keys
from tests.cli.commands.bundles.test_pipe import Site
from tests.fakes import archives
from tests.interop import servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

KEY = keys.generate_key()
IDENTITY, OTHER = x25519.Identity.generate(), x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
TRUST = ("--key", "k.pub")
OPENED = (*TRUST, "--identity", "id.txt")


@pytest.fixture
def place(work_dir: Path) -> Path:
    """A directory with keys and an encrypted archive, ``w.airbundle.age``."""
    for name, identity in (("id.txt", IDENTITY), ("other.txt", OTHER)):
        (work_dir / name).write_text(f"# public key: {identity.to_public()}\n{identity}\n")
    (work_dir / "k.key").write_bytes(KEY.to_pem(None))
    (work_dir / "k.key").chmod(0o600)
    (work_dir / "k.pub").write_bytes(KEY.public.to_pem())
    archives.write(work_dir / "plain.airbundle", (KEY,))
    age(work_dir, "-r", RECIPIENT, "-o", "w.airbundle.age", "plain.airbundle")
    return work_dir


def age(place: Path, *arguments: str) -> bytes:
    """Run the program age; return its output."""
    return subprocess.run(
        [servers.program("age"), *arguments], cwd=place, capture_output=True, check=True
    ).stdout


def test_archive_that_age_encrypted_is_read(place: Path, run_airbundle: RunAirbundle):
    verified = run_airbundle("verify", "w.airbundle.age", *OPENED)
    assert verified.status == 0, verified.stderr
    plain = run_airbundle("verify", "plain.airbundle", *TRUST)
    assert verified.stdout == plain.stdout
    lists = [
        run_airbundle("ls", name, *options).stdout
        for name, options in (("w.airbundle.age", OPENED), ("plain.airbundle", TRUST))
    ]
    assert lists[0] == lists[1] != ""
    imported = run_airbundle("import", "w.airbundle.age", "oci:inside", *OPENED)
    assert imported.status == 0, imported.stderr


def test_exported_archive_is_decrypted_by_age(place: Path, run_airbundle: RunAirbundle):
    command = ("export", "ward.yaml", "e.airbundle.age", "--sign-key", "k.key", "--read-back")
    (place / "recipients.txt").write_text(f"# inside\n{RECIPIENT}\n{OTHER.to_public()}\n")
    exported = run_airbundle(*command, "--encrypt-to", "recipients.txt")
    assert exported.status == 0, exported.stderr
    assert "as written" in exported.stdout
    for name in ("id.txt", "other.txt"):
        (place / "d.airbundle").write_bytes(age(place, "-d", "-i", name, "e.airbundle.age"))
        assert run_airbundle("verify", "d.airbundle", *TRUST).status == 0
    renewed = run_airbundle(*command, "--encrypt-to", RECIPIENT)
    assert renewed.status == 0, renewed.stderr
    assert not [path for path in place.iterdir() if path.name.startswith(".")]


def test_encrypted_pipe_is_imported(place: Path, hermetic_environment: dict[str, str]):
    site = Site(place, hermetic_environment)
    (place / "k.key").write_bytes(KEY.to_pem(None))
    (place / "k.pub").write_bytes(KEY.public.to_pem())
    exported = site.run(
        "export", "ward.yaml", "-", "--sign-key", "k.key", "--encrypt-to", RECIPIENT
    )
    assert exported.returncode == 0, exported.stderr
    status, message = site.import_(exported.stdout, "oci:inside", "--identity", "id.txt")
    assert status == 0, message
    assert site.names == {"web:1", "tool:2"}


def test_relayed_archive_is_encrypted(place: Path, run_airbundle: RunAirbundle):
    relayed = run_airbundle(
        *("relay", "plain.airbundle", "r.airbundle.age", *TRUST, "--sign-key", "k.key"),
        *("--encrypt-to", RECIPIENT),
    )
    assert relayed.status == 0, relayed.stderr
    assert run_airbundle("verify", "r.airbundle.age", *OPENED).status == 0


@pytest.mark.parametrize("command", [("verify",), ("import", "oci:inside")])
@pytest.mark.parametrize(
    ("identity", "status"), [((), 2), (("--identity", "other.txt"), 2), (("--identity", "no"), 9)]
)
def test_archive_is_not_read_without_its_identity(
    place: Path,
    run_airbundle: RunAirbundle,
    command: tuple[str, ...],
    identity: tuple[str, ...],
    status: int,
):
    name, *target = command
    result = run_airbundle(name, "w.airbundle.age", *target, *TRUST, *identity)
    assert result.status == status
    errors = [line for line in result.stderr.splitlines() if not line.startswith("hint: ")]
    assert len(errors) == 1
    assert "AGE-SECRET-KEY" not in result.stderr
    assert not (place / "inside").exists()


@pytest.mark.parametrize("part", [0.001, 0.3, 0.8, 0.999])
def test_cut_archive_is_not_whole(place: Path, run_airbundle: RunAirbundle, part: float):
    data = (place / "w.airbundle.age").read_bytes()
    (place / "w.airbundle.age").write_bytes(data[: int(len(data) * part)])
    assert run_airbundle("verify", "w.airbundle.age", *OPENED).status == 3
    assert run_airbundle("import", "w.airbundle.age", "oci:inside", *OPENED).status == 3
    assert (
        not (place / "inside/index.json").exists()
        or "refs" not in (place / "inside/index.json").read_text()
    )


@pytest.mark.parametrize(
    ("destination", "options"),
    [
        ("bundle", ("--encrypt-to", RECIPIENT)),
        ("new.airbundle", ("--encrypt-to", RECIPIENT)),
        ("new.airbundle.age", ()),
        ("new.airbundle.age", ("--encrypt-to", "age1x")),
        ("new.airbundle.age", ("--encrypt-to", RECIPIENT, "--rehearse")),
        ("new.airbundle.age", ("--encrypt-to", "k.pub")),
    ],
)
def test_other_destinations_and_recipients_are_refused(
    place: Path, run_airbundle: RunAirbundle, destination: str, options: tuple[str, ...]
):
    result = run_airbundle("export", "ward.yaml", destination, "--unsigned", *options)
    assert result.status == 2, result.stderr
    assert not (place / destination).exists()


def test_options_that_need_a_file_are_refused(place: Path, run_airbundle: RunAirbundle):
    for options in (("--dry-run",), ("--verify-first",)):
        result = run_airbundle("import", "w.airbundle.age", "oci:inside", *OPENED, *options)
        assert result.status == 2
    assert run_airbundle("verify", "w.airbundle.age", *OPENED, "--offline").status == 2
    assert run_airbundle("verify", ".", *OPENED).status == 2
    assert run_airbundle("verify", "plain.airbundle", *OPENED).status == 3

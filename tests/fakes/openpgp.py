"""OpenPGP keys in a home directory of the real gpg, and messages signed with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

LONG_AGO = "20200101T000000!"
"""A frozen system time for gpg."""


class GnuPG:
    """A home directory of gpg. Its path is short, because it contains sockets."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="gpg-"))
        # By default, each use of a passphrase takes as long as an attacker should need for a guess.
        (self.home / "gpg-agent.conf").write_text("s2k-count 65536\n")
        self.environment = {
            "GNUPGHOME": str(self.home),
            "HOME": str(self.home),
            "PATH": os.defpath,
            "LC_ALL": "C",
        }

    def close(self) -> None:
        """Stop the agent, and remove the directory."""
        self.run("gpgconf", "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *arguments: str, data: bytes = b"", keep: tuple[int, ...] = ()) -> bytes:
        """Run a program in this home, with the descriptors ``keep``; return its output."""
        return subprocess.run(
            arguments,
            input=data,
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=60,
            pass_fds=keep,
        ).stdout

    def gpg(self, *arguments: str, data: bytes = b"", passphrase: str = "") -> bytes:
        """Run gpg without prompts."""
        reader, writer = os.pipe()
        try:
            os.write(writer, passphrase.encode())
            os.close(writer)
            options = ("--batch", "--no-tty", "--pinentry-mode", "loopback")
            secret = ("--passphrase-fd", str(reader))
            return self.run("gpg", *options, *secret, *arguments, data=data, keep=(reader,))
        finally:
            os.close(reader)

    def generate(
        self,
        name: str,
        *,
        passphrase: str = "",
        expires: str = "never",
        time: str | None = None,
        algorithm: str = "ed25519",
    ) -> str:
        """Create a key that signs; return its fingerprint."""
        clock = () if time is None else ("--faked-system-time", time)
        command = ("--yes", "--status-fd", "1", "--quick-generate-key", name, algorithm, "sign")
        status = self.gpg(*clock, *command, expires, passphrase=passphrase)
        return status.decode().split("KEY_CREATED P ")[1].split()[0]

    def add_subkey(
        self, fingerprint: str, *, expires: str = "never", time: str | None = None
    ) -> str:
        """Add a subkey that signs; return its fingerprint."""
        clock = () if time is None else ("--faked-system-time", time)
        self.gpg(*clock, "--quick-add-key", fingerprint, "ed25519", "sign", expires)
        return self.find_fingerprints(fingerprint)[-1]

    def revoke(self, fingerprint: str) -> None:
        """Revoke a primary key with the certificate that gpg created with it."""
        path = self.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
        certificate = path.read_text().replace(":-----BEGIN", "-----BEGIN")
        self.gpg("--import", data=certificate.encode())

    def revoke_subkey(self, fingerprint: str) -> None:
        """Revoke the last subkey of a key."""
        commands = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
        self.gpg("--command-fd", "0", "--edit-key", fingerprint, data=commands)

    def find_fingerprints(self, name: str) -> list[str]:
        """Return the fingerprints of a key and its subkeys."""
        lines = self.gpg("--with-colons", "--list-keys", "--", name).decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]

    def find_secret_keys(self, name: str) -> list[str]:
        """Return the fingerprints of the primary keys that have this name."""
        try:
            found = self.gpg("--with-colons", "--list-secret-keys", "--", name).decode()
        except subprocess.CalledProcessError:
            return []
        return [part.split("\nfpr:::::::::")[1][:40] for part in f"\n{found}".split("\nsec:")[1:]]

    def forget_passphrases(self) -> None:
        """Let the agent forget the passphrases that it has cached."""
        self.run("gpgconf", "--reload", "gpg-agent")

    def export(self, *names: str) -> bytes:
        """Export public keys."""
        return self.gpg("--export", *names)

    def sign(self, content: bytes, *keys: str, options: tuple[str, ...] = ()) -> bytes:
        """Create a message with a signature by each key."""
        signers = [argument for key in keys for argument in ("--local-user", key)]
        return self.gpg(*options, *signers, "--output", "-", "--sign", data=content)

"""Servers under public host names, in isolated namespaces.

The hosts file of the namespace resolves all names to one fake registry behind TLS on port 443,
which records the name that each request was for. Requests to any other address fail: there is no
other network.

This module is also the program that runs inside of the namespaces.
"""

from __future__ import annotations

import fcntl
import json
import socket
import ssl
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from tests import kernel
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from tests.interop import servers

USERNAME, PASSWORD = "alice", "correct horse"
REPOSITORY = "library/app"

_SIOCSIFFLAGS = 0x8914
_UP = 0x1


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request that a server received."""

    host: str
    method: str
    path: str
    authorization: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """A command that has ended, and the requests that it made."""

    status: int
    stdout: str
    stderr: str
    received_requests: tuple[ReceivedRequest, ...]

    @property
    def hosts(self) -> set[str]:
        """The hosts of the requests."""
        return {request.host for request in self.received_requests}

    def password_receivers(self) -> set[str]:
        """The hosts that received the password."""
        return {
            request.host
            for request in self.received_requests
            if (request.authorization or "").startswith("Basic ")
        }


@dataclass(frozen=True, slots=True)
class NamedHosts:
    """The host names that exist, and the behaviour of the registry behind them."""

    directory: Path
    names: tuple[str, ...]
    realm: str
    """The URL of the token service."""
    anonymous_pull: bool = True
    listening: bool = True
    """Whether a server listens."""
    trusted: bool = True
    """Whether SSL_CERT_FILE contains its certificate authority."""
    ca: Path = field(init=False)

    def __post_init__(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert(*self.names)
        self.directory.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "ca", self.directory / "authority.crt")
        authority.cert_pem.write_to_path(str(self.ca))
        certificate.private_key_and_cert_chain_pem.write_to_path(str(self.directory / "server.pem"))
        lines = [f"127.0.0.{number} {name}" for number, name in enumerate(self.names, 2)]
        (self.directory / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def run(self, client: servers.Client, *commands: tuple[object, ...]) -> list[Run]:
        """Run commands one after the other; the registry keeps the images that they push."""
        plan = {
            "server": str(self.directory / "server.pem"),
            "realm": self.realm,
            "anonymous_pull": self.anonymous_pull,
            "listening": self.listening,
            "environment": client.env() | ({"SSL_CERT_FILE": str(self.ca)} if self.trusted else {}),
            "commands": [[*client.command, *map(str, command)] for command in commands],
        }
        # Skopeo looks for signatures in /var/lib/containers, readable by the machine's root only.
        script = """set -e
            mount --bind "$1" /etc/hosts
            [ ! -d /var/lib/containers ] || mount -t tmpfs none /var/lib/containers
            shift
            exec "$@"
        """
        inside = ("sh", "-c", script, "sh", str(self.directory / "hosts"))
        result = subprocess.run(
            [*kernel.namespace("net", "mount"), *inside, sys.executable, "-m", __name__],
            input=json.dumps(plan),
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return [
            Run(
                received_requests=tuple(
                    ReceivedRequest(**fields) for fields in found.pop("requests")
                ),
                **found,
            )
            for found in json.loads(result.stdout)
        ]


def _main(plan: dict[str, Any]) -> list[dict[str, Any]]:
    _bring_loopback_up()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(plan["server"])
    registry = FakeRegistry(
        auth="bearer",
        username=USERNAME,
        password=PASSWORD,
        anonymous_pull=plan["anonymous_pull"],
        realm=plan["realm"],
        tls=context,
        address=("0.0.0.0", 443 if plan["listening"] else 0),
    )
    registry.add_image(REPOSITORY, "1")
    with registry:
        return [_run(registry, command, plan["environment"]) for command in plan["commands"]]


def _run(registry: FakeRegistry, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    before = len(registry.requests)
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    received_requests = [
        ReceivedRequest(
            request.headers.get("host", ""),
            request.method,
            request.target,
            request.headers.get("authorization"),
        )
        for request in registry.requests[before:]
    ]
    return {
        "status": result.returncode,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "requests": [asdict(request) for request in received_requests],
    }


def _bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))


if __name__ == "__main__":
    json.dump(_main(json.load(sys.stdin)), sys.stdout)

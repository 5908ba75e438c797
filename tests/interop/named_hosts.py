"""Servers under public host names, in isolated namespaces.

The hosts file of the namespace resolves all names to one fake registry behind TLS on port 443,
which records the name that each request was for. Requests to any other address fail: there is no
other network.

This module is also the program that runs inside of the namespaces.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from tests import kernel, preloaded
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        }
        # Skopeo looks for signatures in /var/lib/containers, readable by the machine's root only.
        script = """set -e
            mount --bind "$1" /etc/hosts
            [ ! -d /var/lib/containers ] || mount -t tmpfs none /var/lib/containers
            shift
            exec "$@"
        """
        inside = ("sh", "-c", script, "sh", str(self.directory / "hosts"))
        trusted = {"SSL_CERT_FILE": str(self.ca)} if self.trusted else {}
        with subprocess.Popen(
            [*kernel.namespace("net", "mount"), *inside, sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process:

            def ask(value: object) -> Any:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(value) + "\n")
                process.stdin.flush()
                return json.loads(process.stdout.readline())

            number = ask(plan)
            return [
                _run(client.command, command, client.env() | trusted, number, ask)
                for command in commands
            ]


def _run(
    program: Sequence[str],
    command: Sequence[object],
    environment: dict[str, str],
    process: int,
    ask: Callable[[object], Any],
) -> Run:
    """Run a command in the namespaces of ``process``, which answers to ``ask``."""
    from tests.interop import servers  # noqa: PLC0415 - it is not needed inside of the namespaces

    arguments = [*map(str, command)]
    prefix = servers.AIRBUNDLE
    if tuple(program[: len(prefix)]) == prefix:
        arguments = [*program[len(prefix) :], *arguments]
        done = preloaded.run(arguments, env=environment, timeout=60, process_of=process)
        status, stdout, stderr = done.returncode, done.stdout, done.stderr
    else:
        status, stdout, stderr = ask([[*program, *arguments], environment])
    received = tuple(ReceivedRequest(*fields) for fields in ask(None))
    return Run(status, stdout, stderr, received)


def _main() -> None:
    """Start the registry; then run commands and report new requests, as the other side asks."""
    plan = json.loads(sys.stdin.readline())
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
        print(os.getpid(), flush=True)
        reported = 0
        for line in sys.stdin:
            asked = json.loads(line)
            if asked is None:
                requests = registry.requests[reported:]
                reported += len(requests)
                answer = [
                    (
                        request.headers.get("host", ""),
                        request.method,
                        request.target,
                        request.headers.get("authorization"),
                    )
                    for request in requests
                ]
            else:
                command, environment = asked
                result = subprocess.run(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                answer = [result.returncode, result.stdout, result.stderr]
            print(json.dumps(answer), flush=True)


def _bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))


if __name__ == "__main__":
    _main()

"""Real servers and clients on free loopback ports, which are always stopped.

Every server is a context manager that yields when the server answers. If a program is missing,
``MissingProgramError`` names its Debian package.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests import preloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = {
    "ab": "apache2-utils",
    "age": "age",
    "containerd": "containerd",
    "ctr": "containerd",
    "docker": "docker.io",
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "fakeroot": "fakeroot",
    "fusefat": "fusefat",
    "htpasswd": "apache2-utils",
    "mkfs.vfat": "dosfstools",
    "mksquashfs": "squashfs-tools",
    "openssl": "openssl",
    "podman": "podman",
    "runc": "runc",
    "setpriv": "util-linux",
    "skopeo": "skopeo",
    "unshare": "util-linux",
}
# docker-registry 2.8 accepts a token for this time after its expiry.
# https://github.com/distribution/distribution/blob/v2.8.2/registry/auth/token/token.go
REGISTRY_LEEWAY = 60

_ENTRY = "import sys; from bundler.cli.main import main; sys.exit(main())"
AIRBUNDLE = (sys.executable, "-c", _ENTRY)
CHECKOUT = {"PYTHONPATH": str(Path(__file__).parents[2])}
"""The environment in which ``AIRBUNDLE`` is that of this checkout."""


class MissingProgramError(Exception):
    """A program that the tests require is not installed; ``package`` contains it."""

    def __init__(self, name: str, package: str) -> None:
        super().__init__(f"{name} is not installed: apt-get install {package}")
        self.package = package


def program(name: str) -> str:
    """Return the path of a program.

    Raises:
        MissingProgramError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingProgramError(name, PACKAGES.get(name, name))
    return path


@dataclass(frozen=True, slots=True)
class Registry:
    """A running docker-registry."""

    host: str
    """``127.0.0.1:port``."""
    storage: Path
    ca: Path | None = None
    """The authority of its certificate; None: plain HTTP."""
    username: str | None = None
    password: str | None = None
    issuer: TokenIssuer | None = None

    @property
    def creds(self) -> str:
        """``username:password``."""
        return f"{self.username}:{self.password}"


@contextmanager
def registry(directory: Path, **sections: object) -> Iterator[Registry]:
    """Plain HTTP, with deletion; ``sections`` are added to the configuration."""
    with _docker_registry(directory, {}, sections) as host:
        yield Registry(host, directory / "storage")


@contextmanager
def tls_registry(directory: Path) -> Iterator[Registry]:
    """HTTPS with a certificate of a private authority, and one htpasswd user."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    # The CA is in another directory: with --cert-dir, any .key file beside it would be an error.
    ca, chain, key = directory / "ca" / "ca.crt", directory / "tls.crt", directory / "tls.key"
    ca.parent.mkdir()
    authority.cert_pem.write_to_path(str(ca))
    certificate.private_key_pem.write_to_path(str(key))
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    users = directory / "htpasswd"
    entry = _run([program("htpasswd"), "-Bbn", "alice", "correct horse"])
    users.write_text(entry)
    sections = {"auth": {"htpasswd": {"realm": "tests", "path": str(users)}}}
    http = {"tls": {"certificate": str(chain), "key": str(key)}}
    with _docker_registry(directory, http, sections) as host:
        yield Registry(host, directory / "storage", ca, "alice", "correct horse")


@contextmanager
def token_registry(directory: Path) -> Iterator[Registry]:
    """Plain HTTP with bearer tokens of an issuer in this process."""
    directory.mkdir(parents=True, exist_ok=True)
    with TokenIssuer.running("bob", "battery staple") as issuer:
        bundle = directory / "issuer.pem"
        bundle.write_bytes(issuer.certificate.public_bytes(serialization.Encoding.PEM))
        token = {
            "realm": issuer.realm,
            "service": issuer.service,
            "issuer": issuer.name,
            "rootcertbundle": str(bundle),
        }
        with _docker_registry(directory, {}, {"auth": {"token": token}}) as host:
            yield Registry(
                host,
                directory / "storage",
                username=issuer.username,
                password=issuer.password,
                issuer=issuer,
            )


@dataclass
class TokenIssuer:
    """A token service as the distribution specification describes it, by GET.

    ``reported_lifetime`` is the ``expires_in`` of a token, ``lifetime`` the time for which the
    registry accepts it, both in seconds; they may be changed while the issuer runs.
    """

    username: str
    password: str
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    port: int = 0
    name: str = "tests"
    service: str = "registry"
    reported_lifetime: int = 300
    lifetime: float = 300
    issued: list[str] = field(default_factory=list)
    """The scopes of every token that was given out, in order."""

    @property
    def realm(self) -> str:
        """The URL of the token service."""
        return f"http://127.0.0.1:{self.port}/token"

    @classmethod
    @contextmanager
    def running(cls, username: str, password: str) -> Iterator[TokenIssuer]:
        """Run an issuer until the block ends."""
        key = rsa.generate_private_key(65537, 2048)
        issuer = cls(username, password, key, _write_certificate(key))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = issuer.answer(self.path, self.headers.get("Authorization"))
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            issuer.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield issuer
            finally:
                server.shutdown()
                thread.join()

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, object]]:
        """Return the status and the body for one request."""
        basic = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        if authorization != f"Basic {basic}":
            error = {"code": "UNAUTHORIZED", "message": "wrong or no password"}
            return 401, {"errors": [error]}
        scopes = parse_qs(urlsplit(path).query).get("scope", [])
        self.issued.append(" ".join(scopes))
        return 200, {"token": self._token(scopes), "expires_in": self.reported_lifetime}

    def _token(self, scopes: list[str]) -> str:
        access = []
        for scope in " ".join(scopes).split():
            kind, name, actions = scope.split(":", 2)
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {
            "iss": self.name,
            "sub": self.username,
            "aud": self.service,
            "nbf": now - 3600,
            "iat": now,
            "exp": int(now + self.lifetime - REGISTRY_LEEWAY),
            "jti": str(len(self.issued)),
            "access": access,
        }
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64url(signature)).decode()


@dataclass(frozen=True, slots=True)
class Client:
    """A command line program with its own home directory.

    ``command`` is the start of every command line; a call of the client runs it to its end.
    """

    command: tuple[str, ...]
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        """Return the complete environment of the program."""
        return {
            "PATH": os.environ["PATH"],  # noqa: TID251 - programs are found where the tests find them
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.home),
            **self.environment,
        }

    def __call__(
        self, *arguments: object, stdin: str = "", cwd: Path | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run the program; never raise for an exit status."""
        if self.command[: len(AIRBUNDLE)] == AIRBUNDLE:
            options = [*self.command[len(AIRBUNDLE) :], *map(str, arguments)]
            return preloaded.run(options, stdin=stdin, env=self.env(), cwd=cwd, timeout=timeout)
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            input=stdin,
            cwd=cwd,
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @contextmanager
    def start(self, *arguments: object, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start the program; it is killed if it still runs when the block ends."""
        process = subprocess.Popen(
            [*self.command, *map(str, arguments)],
            cwd=cwd,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def ok(self, *arguments: object, stdin: str = "", cwd: Path | None = None) -> str:
        """Run the program and return its stdout; assert that it succeeds."""
        result = self(*arguments, stdin=stdin, cwd=cwd)
        if result.returncode != 0:
            output = result.stdout + result.stderr
            raise AssertionError(f"{result.args} ended with {result.returncode}:\n{output}")
        return result.stdout


def write_rsa_pair(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """Write a new private key and its public key in PEM; return their paths."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@contextmanager
def _docker_registry(
    directory: Path, http: dict[str, object], sections: dict[str, object]
) -> Iterator[str]:
    """Run a registry; yield its ``host:port``."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "storage")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        # The system chooses a free port, which is read from the log.
        "http": {"addr": "127.0.0.1:0", **http},
        **sections,
    }
    file, log = directory / "registry.yml", directory / "registry.log"
    file.write_text(yaml.safe_dump(configuration))
    # If the tests are killed, the server is killed too.
    command = [program("setpriv"), "--pdeathsig", "KILL", program("docker-registry"), "serve"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(file)], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield _read_address(process, log)
    finally:
        process.kill()
        process.wait()


def _read_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            _, found, rest = line.partition("listening on ")
            if found:
                return rest.split('"')[0].split(",")[0].strip()
        time.sleep(0.02)
    raise AssertionError(f"docker-registry did not start:\n{log.read_text()}")


def _write_certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "token issuer")])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

"""A registry in this process that implements the distribution specification, with faults on demand.

    with FakeRegistry() as registry:
        registry.add_image("library/app", "1", layers=[b"…"])
        registry.fail("GET", "/blobs/", status=503, times=2)
        ...
        assert registry.count("GET", "/blobs/") == 3

``repositories`` is its content, ``requests`` are the requests that it received. It is independent
of the program's own client and model, so that agreement is meaningful.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.fakes.server import FakeServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body of a response."""


@dataclass(slots=True)
class Fault:
    """A fault of the next ``times`` requests that match, or of all of them if ``times`` is None."""

    method: str
    path: re.Pattern[str]
    times: int | None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    html: bool = False
    drop: bool = False
    cut_after: int | None = None
    stall_after: int | None = None
    wrong_bytes: bool = False
    short_body: int | None = None
    endless: bool = False
    delay: float = 0.0
    digest_header: str | None = None
    content_type: str | None = None
    redirect: str | None = None
    early: bool = False
    gzip: bool = False
    content_encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request as received; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the query."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)


@dataclass(slots=True)
class Repository:
    """The content of one repository."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)


class FakeRegistry(FakeServer):
    """A registry that listens on loopback while its context is entered.

    Args:
        auth: None, "basic" or "bearer".
        anonymous_pull: whether the token service issues pull tokens without credentials.
        token_lifetime: the lifetime of a token in seconds; ``expires_in`` is in whole seconds, and
        at least 1.
        identity_token: the refresh token that the token service accepts by POST.
        realm: the URL of the token service, if it is not this server.
        referrers: whether the referrers API exists.
        page_size: the maximum number of tags, repositories or referrers in a response.
        immutable_tags: refuse to move a tag to another digest.
        mounts: whether blobs are mounted from other repositories.
        ranges: whether a GET of a blob supports Range.
        resumes: whether an interrupted upload can be resumed.
        strict_children: refuse a manifest whose blobs or children are missing.
        signature_api: whether simple signatures can be stored beside manifests.
        tls: the server's context, for HTTPS.
        address: the address to listen on; port 0 selects a free port.
    """

    def __init__(
        self,
        *,
        auth: str | None = None,
        username: str = "user",
        password: str = "password",
        anonymous_pull: bool = False,
        token_lifetime: float = 300,
        identity_token: str | None = None,
        realm: str | None = None,
        referrers: bool = True,
        page_size: int | None = None,
        immutable_tags: bool = False,
        mounts: bool = True,
        ranges: bool = True,
        resumes: bool = True,
        strict_children: bool = True,
        signature_api: bool = False,
        tls: ssl.SSLContext | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.auth = auth
        self.username = username
        self.password = password
        self.anonymous_pull = anonymous_pull
        self.token_lifetime = token_lifetime
        self.identity_token = identity_token
        self.realm = realm
        self.referrers = referrers
        self.page_size = page_size
        self.immutable_tags = immutable_tags
        self.mounts = mounts
        self.ranges = ranges
        self.resumes = resumes
        self.strict_children = strict_children
        self.signature_api = signature_api
        self.signatures: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """Signatures by repository and digest, as the signature API lists them."""
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.tokens: dict[str, tuple[frozenset[str], float]] = {}
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.tls = tls
        self._faults: list[Fault] = []
        self._server = _Server(self, address)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """``127.0.0.1:port``, or ``[::1]:port``."""
        address = str(self._server.server_address[0])
        return f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"

    @property
    def url(self) -> str:
        """``http://`` or ``https://``, and the host."""
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def stop(self) -> None:
        """Stop the server, and cut all connections."""
        self.closing.set()
        super().stop()
        self._server.cut_all()

    def repository(self, name: str) -> Repository:
        """Return the content of the repository ``name``; create it if it does not exist."""
        with self.lock:
            return self.repositories.setdefault(name, Repository())

    def add_blob(self, repository: str, data: bytes) -> str:
        """Store a blob and return its digest."""
        digest = sha256(data)
        self.repository(repository).blobs[digest] = data
        return digest

    def add_manifest(
        self, repository: str, tag: str | None, data: bytes, media_type: str = OCI_MANIFEST
    ) -> str:
        """Store a manifest, under ``tag`` unless it is None; return its digest."""
        digest = sha256(data)
        stored = self.repository(repository)
        stored.manifests[digest] = (media_type, data)
        if tag is not None:
            stored.tags[tag] = digest
        return digest

    def add_image(
        self,
        repository: str,
        tag: str | None,
        layers: Iterable[bytes] = (b"layer",),
        *,
        platform: str = "linux/amd64",
        **members: object,
    ) -> str:
        """Store an image of ``layers``, with ``members`` in its manifest; return its digest."""
        layers = list(layers)
        os, architecture = platform.split("/")[:2]
        diff_ids = [sha256(data) for data in layers]
        config = json.dumps(
            {
                "os": os,
                "architecture": architecture,
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config),
            "layers": [descriptor(OCI_LAYER, data) for data in layers],
            **members,
        }
        for blob in (config, *layers):
            self.add_blob(repository, blob)
        return self.add_manifest(repository, tag, json.dumps(manifest).encode())

    def fail(
        self, method: str = ".*", path: str = "", *, times: int | None = 1, **fields: Any
    ) -> None:
        """Add a fault of the next ``times`` requests whose method and path match.

        ``method`` has to match completely, ``path`` anywhere; both are regular expressions.
        ``fields`` are those of ``Fault``:

        - ``status`` (with ``headers``, ``body``), ``html``, ``redirect``: the response.
        - ``drop``: the connection is closed before a response.
        - ``cut_after``: the connection ends after that many bytes of the response's body, which all
          arrive, or of the request's, which are stored.
        - ``stall_after``: the response sends nothing more after that many bytes of its body.
        - ``wrong_bytes``, ``short_body`` (that many bytes, with a matching Content-Length),
          ``endless``, ``digest_header``, ``content_type``, ``content_encoding``: the normal
          response with this change.
        - ``gzip``: the body is compressed, with Content-Encoding.
        - ``early``: the request's body is not read, and the connection is closed.
        - ``delay``: seconds to wait before the normal response.
        """
        with self.lock:
            self._faults.append(Fault(method, re.compile(path), times, **fields))

    def count(self, method: str, path: str = "") -> int:
        """Return the number of requests whose method and path match, as in ``fail``."""
        return len(self.find_requests(method, path))

    def find_requests(self, method: str, path: str = "") -> list[Request]:
        """Return the requests that match, as in ``fail``."""
        return [
            request
            for request in list(self.requests)
            if re.fullmatch(method, request.method) and re.search(path, request.target)
        ]

    def expire_tokens(self) -> None:
        """Invalidate all tokens that were issued."""
        with self.lock:
            self.tokens.clear()

    def answer(self, request: Request) -> Answer | None:
        """Return the response of a product that differs from the specification; None if usual."""
        return None

    def take_fault(self, method: str, target: str) -> Fault | None:
        """Return the fault for a request, and count its use."""
        with self.lock:
            for fault in self._faults:
                if fault.times != 0 and re.fullmatch(fault.method, method):
                    if not fault.path.search(target):
                        continue
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def issue_token(self, scopes: Iterable[str]) -> str:
        """Issue a token for ``scopes`` with the usual lifetime."""
        token = secrets.token_urlsafe(24)
        with self.lock:
            self.tokens[token] = (frozenset(scopes), time.monotonic() + self.token_lifetime)
        return token


def create_error(status: int, code: str, message: str) -> Answer:
    """Create a response with an error in the form of the distribution specification."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json"}, body


def sha256(data: bytes) -> str:
    """``sha256:<hex>`` of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    """Return the descriptor of ``data``."""
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, registry: FakeRegistry, address: tuple[str, int]) -> None:
        self.registry = registry
        self._open: set[socket.socket] = set()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.registry.tls is not None:
            connection = self.registry.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self.registry.lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self.registry.lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        with self.registry.lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        deadline = time.monotonic() + 5
        while self._open and time.monotonic() < deadline:
            time.sleep(0.005)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients may disconnect."""


class _CutError(Exception):
    """Request to reset the connection immediately."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: _Server

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the server's names

    def _serve(self) -> None:
        registry = self.server.registry
        headers = {name.lower(): value for name, value in self.headers.items()}
        registry.requests.append(Request(self.command, self.path, headers))
        self._fault = registry.take_fault(self.command, self.path) or Fault("", re.compile(""), 0)
        self._unread = int(headers.get("content-length", 0))
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        registry.closing.wait(self._fault.delay)
        if self._fault.drop:
            self._reset()
            return
        try:
            self._respond(*(self._scripted() or self._answer()))
        except _CutError:
            self._reset()

    def _scripted(self) -> Answer | None:
        fault = self._fault
        if fault.redirect is not None:
            return fault.status or 307, {"Location": fault.redirect}, b""
        if fault.html:
            page = b"<!DOCTYPE html><html><body>Please log in</body></html>"
            return fault.status or 200, {"Content-Type": "text/html; charset=utf-8"}, page
        if fault.status is None:
            return None
        if fault.body is not None:
            return fault.status, {"Content-Type": "application/json"} | fault.headers, fault.body
        status, headers, body = create_error(fault.status, "SCRIPTED", "scripted fault")
        return status, headers | fault.headers, body

    def _answer(self) -> Answer:
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        path = unquote(parts.path)
        registry, headers = self.server.registry, {k.lower(): v for k, v in self.headers.items()}
        if answer := registry.answer(Request(self.command, self.path, headers)):
            return answer
        if path in ("/token", urlsplit(registry.realm or "").path):
            return self._token(parts.query)
        if refusal := self._refused(path, query):
            return refusal
        if path in ("/v2", "/v2/"):
            extra = {"X-Registry-Supports-Signatures": "1"} if registry.signature_api else {}
            return 200, {"Content-Type": "application/json"} | extra, b"{}"
        if path == "/v2/_catalog":
            return self._page("repositories", sorted(self.server.registry.repositories), query)
        for pattern, handle in _ROUTES:
            if match := re.fullmatch(pattern, path):
                with self.server.registry.lock:
                    known = match["name"] in self.server.registry.repositories
                if not known and self.command in ("GET", "HEAD"):
                    return create_error(
                        404, "NAME_UNKNOWN", "repository name not known to registry"
                    )
                return handle(self, match, query)
        return 404, {"Content-Type": "text/plain"}, b"404 page not found\n"

    def _distort(self, headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        """Change a normal response as the fault describes."""
        fault = self._fault
        changed = {
            "Docker-Content-Digest": fault.digest_header,
            "Content-Type": fault.content_type,
            "Content-Encoding": "gzip" if fault.gzip and body else fault.content_encoding,
        }
        headers = headers | {name: text for name, text in changed.items() if text is not None}
        if fault.wrong_bytes and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault.short_body is not None:
            body = body[: fault.short_body]
        if fault.gzip and body:
            body = gzip.compress(body)
            headers.pop("Content-Length", None)
        return headers, body

    def _respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        fault = self._fault
        headers, body = self._distort(headers, body)
        if fault.early:
            self.close_connection = True
        else:
            self._drain()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault.endless and self.command == "GET":
            self._endless()
            return
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault.cut_after is not None:
            self.wfile.write(body[: fault.cut_after])
            self.close_connection = True
            return
        if fault.stall_after is not None:
            self.wfile.write(body[: fault.stall_after])
            self.server.registry.closing.wait()
            self.close_connection = True
            return
        self.wfile.write(body)

    def _endless(self) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        while True:
            self.wfile.write(chunk)

    def _reset(self) -> None:
        """Close the connection so that the client receives a reset, not a regular end."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
            self.connection.close()

    # Authorization

    def _refused(self, path: str, query: dict[str, str]) -> Answer | None:
        registry = self.server.registry
        given = self.headers.get("Authorization", "")
        if registry.auth == "basic":
            if given == f"Basic {_encode_basic(registry)}":
                return None
            challenge = 'Basic realm="fake registry"'
        elif registry.auth == "bearer":
            needed = self._find_required_scope(path, query)
            if self._is_allowed(given, needed):
                return None
            realm = registry.realm or f"{registry.url}/token"
            challenge = f'Bearer realm="{realm}",service="fake"'
            if needed:
                challenge += f',scope="{" ".join(sorted(needed))}"'
        else:
            return None
        status, headers, body = create_error(401, "UNAUTHORIZED", "authentication required")
        return status, headers | {"WWW-Authenticate": challenge}, body

    def _find_required_scope(self, path: str, query: dict[str, str]) -> set[str]:
        if path == "/v2/_catalog":
            return {"registry:catalog:*"}
        match = re.match(r"/v2/(?P<name>.+?)/(blobs|manifests|tags|referrers)/", path)
        if match is None:
            return set()
        actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(self.command, "pull,push")
        needed = {f"repository:{match['name']}:{actions}"}
        if "from" in query:
            needed.add(f"repository:{query['from']}:pull")
        return needed

    def _is_allowed(self, given: str, needed: set[str]) -> bool:
        registry = self.server.registry
        scopes, expires = registry.tokens.get(given.removeprefix("Bearer "), (None, 0.0))
        if scopes is None or time.monotonic() > expires:
            return False
        return all(action in _split_actions(scopes) for action in _split_actions(needed))

    def _token(self, query: str) -> Answer:
        registry = self.server.registry
        if self.command == "POST":
            form = parse_qs(self._body().decode())
            good = {
                "refresh_token": form.get("refresh_token") == [registry.identity_token],
                "password": form.get("password") == [registry.password],
            }
            if not good.get(form.get("grant_type", [""])[0], False):
                return 400, {"Content-Type": "application/json"}, b'{"error":"invalid_grant"}'
            name = "access_token"
        else:
            form = parse_qs(query)
            given = self.headers.get("Authorization")
            anonymous = registry.anonymous_pull and given is None
            if not anonymous and given != f"Basic {_encode_basic(registry)}":
                return create_error(401, "UNAUTHORIZED", "incorrect username or password")
            name = "token"
        scopes = " ".join(form.get("scope", [])).split()
        answer = {
            name: registry.issue_token(scopes),
            "expires_in": max(1, int(registry.token_lifetime)),
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    # Manifests, tags, referrers

    def _manifest(self, match: re.Match[str], _: dict[str, str]) -> Answer:
        stored = self.server.registry.repository(match["name"])
        reference = match["reference"]
        digest = reference if ":" in reference else stored.tags.get(reference, "")
        if self.command == "PUT":
            return self._put_manifest(stored, reference)
        if digest not in stored.manifests:
            return create_error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if self.command == "DELETE":
            if ":" in reference:
                del stored.manifests[digest]
                for tag in [tag for tag, at in stored.tags.items() if at == digest]:
                    del stored.tags[tag]
            else:
                del stored.tags[reference]
            return 202, {}, b""
        media_type, data = stored.manifests[digest]
        return 200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, data

    def _put_manifest(self, stored: Repository, reference: str) -> Answer:
        registry = self.server.registry
        data = self._body()
        digest = sha256(data)
        if reference.startswith("sha512:"):
            digest = "sha512:" + hashlib.sha512(data).hexdigest()
        if ":" in reference and reference != digest:
            return create_error(
                400, "DIGEST_INVALID", "provided digest did not match uploaded content"
            )
        try:
            manifest = json.loads(data)
        except ValueError:
            return create_error(400, "MANIFEST_INVALID", "not JSON")
        if registry.strict_children and (missing := _create_missing_error(stored, manifest)):
            return create_error(404, "MANIFEST_BLOB_UNKNOWN", f"blob unknown: {missing}")
        if ":" not in reference:
            if registry.immutable_tags and stored.tags.get(reference, digest) != digest:
                return create_error(
                    412, "PRECONDITION", f"tag {reference} is configured as immutable"
                )
            stored.tags[reference] = digest
        stored.manifests[digest] = (self.headers.get("Content-Type", ""), data)
        headers = {"Docker-Content-Digest": digest, "Location": self.path}
        if registry.referrers and "subject" in manifest:
            headers["OCI-Subject"] = manifest["subject"]["digest"]
        return 201, headers, b""

    def _signatures(self, match: re.Match[str], _: dict[str, str]) -> Answer:
        registry = self.server.registry
        if not registry.signature_api:
            return 404, {"Content-Type": "text/plain"}, b"404 page not found\n"
        if match["digest"] not in registry.repository(match["name"]).manifests:
            return create_error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        found = registry.signatures.setdefault((match["name"], match["digest"]), [])
        if self.command == "PUT":
            found.append(json.loads(self._body()))
            return 201, {}, b""
        return 200, {"Content-Type": "application/json"}, json.dumps({"signatures": found}).encode()

    def _tags(self, match: re.Match[str], query: dict[str, str]) -> Answer:
        stored = self.server.registry.repository(match["name"])
        return self._page("tags", sorted(stored.tags), query, {"name": match["name"]})

    def _page(
        self, key: str, items: list[str], query: dict[str, str], more: dict[str, str] | None = None
    ) -> Answer:
        limits = [self.server.registry.page_size, int(query["n"]) if "n" in query else None]
        size = min((limit for limit in limits if limit is not None), default=len(items))
        rest = [item for item in items if item > query.get("last", "")]
        headers = {"Content-Type": "application/json"}
        if len(rest) > size > 0:
            path = urlsplit(self.path).path
            last = quote(rest[size - 1], safe="")
            headers["Link"] = f'<{path}?n={size}&last={last}>; rel="next"'
        return 200, headers, json.dumps({**(more or {}), key: rest[:size]}).encode()

    def _referrers(self, match: re.Match[str], query: dict[str, str]) -> Answer:
        registry = self.server.registry
        if not registry.referrers:
            return 404, {"Content-Type": "text/plain"}, b"404 page not found\n"
        found = []
        for digest, (media_type, data) in sorted(
            registry.repository(match["name"]).manifests.items()
        ):
            manifest = json.loads(data)
            if manifest.get("subject", {}).get("digest") != match["digest"]:
                continue
            kind = manifest.get("artifactType") or manifest.get("config", {}).get("mediaType")
            entry = {"mediaType": media_type, "digest": digest, "size": len(data)}
            entry |= {"artifactType": kind} if kind else {}
            entry |= {"annotations": manifest["annotations"]} if "annotations" in manifest else {}
            found.append(entry)
        first = int(query.get("from", 0))
        size = registry.page_size or len(found)
        headers = {"Content-Type": OCI_INDEX}
        if first + size < len(found):
            path = urlsplit(self.path).path
            headers["Link"] = f'<{path}?from={first + size}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX}
        index["manifests"] = found[first : first + size]
        return 200, headers, json.dumps(index).encode()

    # Blobs and uploads

    def _blob(self, match: re.Match[str], _: dict[str, str]) -> Answer:
        registry = self.server.registry
        stored, digest = registry.repository(match["name"]), match["digest"]
        if digest not in stored.blobs:
            return create_error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self.command == "DELETE":
            del stored.blobs[digest]
            return 202, {}, b""
        data = stored.blobs[digest]
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        if self.command == "HEAD":
            return 200, headers | {"Content-Length": str(len(data))}, b""
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None or not registry.ranges:
            return 200, headers, data
        first = int(span[1])
        last = min(int(span[2] or len(data)), len(data) - 1)
        if first > last:
            return 416, headers | {"Content-Range": f"bytes */{len(data)}"}, b""
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return 206, headers, data[first : last + 1]

    def _start_upload(self, match: re.Match[str], query: dict[str, str]) -> Answer:
        registry, name = self.server.registry, match["name"]
        stored = registry.repository(name)
        origin = registry.repositories.get(query.get("from", ""), Repository())
        if registry.mounts and query.get("mount") in origin.blobs:
            digest = query["mount"]
            stored.blobs[digest] = origin.blobs[digest]
            headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
            return 201, headers, b""
        identifier = secrets.token_hex(8)
        stored.uploads[identifier] = bytearray()
        return self._progress(name, identifier, 202)

    def _upload(self, match: re.Match[str], query: dict[str, str]) -> Answer:
        name, identifier = match["name"], match["upload"]
        stored = self.server.registry.repository(name)
        if identifier not in stored.uploads:
            return create_error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        held = stored.uploads[identifier]
        if self.command == "DELETE":
            del stored.uploads[identifier]
            return 204, {}, b""
        if self.command == "GET":
            return self._progress(name, identifier, 204)
        span = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range", ""))
        if span and int(span[1]) != len(held):
            return create_error(416, "RANGE_INVALID", f"expected to continue at {len(held)}")
        self._receive(held if self.server.registry.resumes else bytearray(), held)
        if self.command == "PATCH":
            return self._progress(name, identifier, 202)
        data, digest = bytes(held), query.get("digest", "")
        del stored.uploads[identifier]
        algorithm = digest.partition(":")[0]
        if algorithm not in ("sha256", "sha512") or digest != (
            f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
        ):
            return create_error(
                400, "DIGEST_INVALID", "provided digest did not match uploaded content"
            )
        stored.blobs[digest] = data
        headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
        return 201, headers, b""

    def _progress(self, name: str, identifier: str, status: int) -> Answer:
        held = len(self.server.registry.repository(name).uploads[identifier])
        headers = {
            "Location": f"/v2/{name}/blobs/uploads/{identifier}?_state=secret",
            "Range": f"0-{max(0, held - 1)}",
            "Docker-Upload-UUID": identifier,
        }
        return status, headers, b""

    def _receive(self, into: bytearray, held: bytearray) -> None:
        """Read the request's body; ``into`` receives it even if a fault cuts it off."""
        limit = self._fault.cut_after
        taken = 0
        for chunk in self._chunks():
            into += chunk if limit is None else chunk[: max(0, limit - taken)]
            taken += len(chunk)
            if limit is not None and taken >= limit:
                raise _CutError
        if into is not held:
            held += into

    def _body(self) -> bytes:
        return b"".join(self._chunks())

    def _drain(self) -> None:
        for _ in self._chunks():
            pass

    def _chunks(self) -> Iterable[bytes]:
        if self._chunked:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            self._chunked = False
        while self._unread:
            chunk = self.rfile.read1(min(self._unread, 256 * 1024))
            if not chunk:
                raise _CutError
            self._unread -= len(chunk)
            yield chunk


_NAME = r"/v2/(?P<name>[a-z0-9._/-]+?)"
_DIGEST = r"(?P<digest>sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})"
_ROUTES = (
    (rf"{_NAME}/manifests/(?P<reference>[\w.:-]+)", _Handler._manifest),
    (rf"{_NAME}/blobs/{_DIGEST}", _Handler._blob),
    (rf"{_NAME}/blobs/uploads/?", _Handler._start_upload),
    (rf"{_NAME}/blobs/uploads/(?P<upload>[a-f0-9]+)", _Handler._upload),
    (rf"{_NAME}/tags/list", _Handler._tags),
    (rf"{_NAME}/referrers/{_DIGEST}", _Handler._referrers),
    (rf"/extensions{_NAME}/signatures/{_DIGEST}", _Handler._signatures),
)


def _create_missing_error(stored: Repository, manifest: dict[str, Any]) -> str | None:
    blobs = [manifest.get("config"), *manifest.get("layers", ())]
    for item in blobs:
        if item and item["digest"] not in stored.blobs and not item.get("urls"):
            return str(item["digest"])
    for item in manifest.get("manifests", ()):
        if item["digest"] not in stored.manifests:
            return str(item["digest"])
    return None


def _encode_basic(registry: FakeRegistry) -> str:
    return base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()


def _split_actions(scopes: Iterable[str]) -> set[str]:
    """Return ``repository:a:pull,push`` as ``repository:a:pull`` and ``repository:a:push``."""
    spread = set()
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if (kind, actions) == ("repository", "*"):
            actions = "pull,push,delete"
        spread |= {f"{kind}:{name}:{action}" for action in actions.split(",")}
    return spread

"""An OpenID Connect provider on loopback, which approves or denies logins at once.

It is written from the specifications, independently of the client: tokens are assembled and signed
here, and every request is checked as a strict provider checks it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from tests.fakes.server import FakeServer

EMAIL = "ci@example.org"
CLIENT_ID, SECRET = "site", "marked-client-secret"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def encode(data: bytes) -> str:
    """Encode in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_integer(number: int) -> str:
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class FakeProvider(FakeServer, ThreadingHTTPServer):
    """A provider with one client; a context manager."""

    daemon_threads = True

    def __init__(self, *, secret: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secret = secret
        self.algorithm = "RS256"
        self.metadata: dict[str, object] = {}
        """Members that replace those of the configuration."""
        self.claims: dict[str, object] = {}
        """Claims that replace those of identity tokens."""
        self.other_keys: list[dict[str, object]] = []
        self.token_errors: list[str] = []
        """The error codes of the next responses of the token endpoint."""
        self.device: dict[str, object] = {}
        """Members that replace those of responses of the device endpoint."""
        self.denied = False
        self.alter_token = lambda token: token
        self.answers: dict[str, tuple[int, bytes]] = {}
        """Responses that replace those of the endpoints, by path."""
        self.requests: list[tuple[str, str]] = []
        self.tokens: list[str] = []
        self.grants: dict[str, dict[str, str]] = {}
        """The parameters with which a login began, by its code."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def _server(self):
        return self

    def handle_error(self, *_):
        """Ignore clients that end the connection."""

    def describe(self) -> dict[str, object]:
        """Return the configuration."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "device_authorization_endpoint": f"{self.url}/device",
            "jwks_uri": f"{self.url}/keys",
            "code_challenge_methods_supported": ["plain", "S256"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        } | self.metadata

    def authorize(self, query: str) -> str:
        """Begin a login with a browser; return the URL to which the browser is redirected."""
        given = {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}
        assert given["response_type"] == "code"
        assert given["client_id"] == CLIENT_ID
        assert "openid" in given["scope"].split()
        assert given["code_challenge_method"] == "S256"
        assert len(given["state"]) >= 22
        assert len(given["nonce"]) >= 22
        state = {"state": given["state"]}
        target = given["redirect_uri"]
        if self.denied:
            return f"{target}?{urlencode({'error': 'access_denied', **state})}"
        code = f"marked-code-{len(self.grants)}"
        self.grants[code] = given
        return f"{target}?{urlencode({'code': code, **state})}"

    def issue(self, nonce: str | None) -> str:
        """Issue an identity token."""
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": "1", "aud": CLIENT_ID, "email": EMAIL, "email_verified": True,
            "iat": now, "exp": now + 60, "nonce": nonce,
        } | self.claims  # fmt: skip
        given = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.algorithm}
        signed = ".".join(encode(json.dumps(part).encode()) for part in (header, given))
        token = self.alter_token(f"{signed}.{encode(self.sign(signed.encode()))}")
        self.tokens.append(token)
        return token

    def sign(self, data: bytes) -> bytes:
        if self.algorithm == "RS256":
            return RSA_KEY.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "ES256":
            pair = utils.decode_dss_signature(EC_KEY.sign(data, ec.ECDSA(hashes.SHA256())))
            return b"".join(number.to_bytes(32, "big") for number in pair)
        return b""

    def list_keys(self) -> list[dict[str, object]]:
        public = RSA_KEY.public_key().public_numbers()
        point = EC_KEY.public_key().public_numbers()
        return [
            *self.other_keys,
            {"kty": "RSA", "kid": "RS256", "n": encode_integer(public.n),
             "e": encode_integer(public.e), "use": "sig"},
            {"kty": "EC", "kid": "ES256", "crv": "P-256", "x": encode(point.x.to_bytes(32, "big")),
             "y": encode(point.y.to_bytes(32, "big"))},
        ]  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: FakeProvider
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, (path, query) = self.server, urlsplit(self.path)[2:4]
        server.requests.append(("GET", path))
        if path in server.answers:
            self._send(*server.answers[path])
        elif path == "/.well-known/openid-configuration":
            self._send_json(200, server.describe())
        elif path == "/keys":
            self._send_json(200, {"keys": server.list_keys()})
        elif path == "/auth":
            self._send(302, b"", Location=server.authorize(query))
        else:
            self._send(404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.requests.append(("POST", self.path))
        if self.path in self.server.answers:
            self._send(*self.server.answers[self.path])
            return
        assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = {name: values[0] for name, values in parse_qs(body, strict_parsing=True).items()}
        if not self._is_client(form):
            self._send_json(401, {"error": "invalid_client", "error_description": body})
        elif self.path == "/device":
            self._begin_device_login(form)
        elif self.path == "/token":
            self._send_token(form)
        else:
            self._send(404, b"")

    def _is_client(self, form):
        given = self.headers["Authorization"]
        secret = form.get("client_secret")
        if given is not None:
            pair = base64.b64decode(given.removeprefix("Basic ")).decode()
            name, _, secret = map(unquote_plus, pair.partition(":"))
            assert name == CLIENT_ID
        return form["client_id"] == CLIENT_ID and secret == self.server.secret

    def _begin_device_login(self, form):
        assert "openid" in form["scope"].split()
        code = f"marked-device-code-{len(self.server.grants)}"
        self.server.grants[code] = form
        answer = {
            "device_code": code, "user_code": "WDJB-MJHT", "expires_in": 300,
            "verification_uri": f"{self.server.url}/activate",
        }  # fmt: skip
        self._send_json(200, answer | self.server.device)

    def _send_token(self, form):
        server = self.server
        is_device = form["grant_type"] == DEVICE_GRANT
        began = server.grants.get(form["device_code" if is_device else "code"])
        if began is None:
            self._send_json(400, {"error": "invalid_grant"})
            return
        if server.token_errors:
            self._send_json(400, {"error": server.token_errors.pop(0)})
            return
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if encode(digest) != began["code_challenge"]:
            self._send_json(400, {"error": "invalid_grant"})
            return
        if not is_device:
            assert form["grant_type"] == "authorization_code"
            assert form["redirect_uri"] == began["redirect_uri"]
            del server.grants[form["code"]]  # it is valid once
        token = server.issue(began.get("nonce"))
        self._send_json(
            200, {"access_token": "marked-access", "token_type": "Bearer", "id_token": token}
        )

    def _send_json(self, status, value):
        self._send(status, json.dumps(value).encode())

    def _send(self, status, body, **headers):
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

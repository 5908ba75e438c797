"""OpenShift's image API in front of a fake registry: image streams and image signatures.

The tags and images are those of the repositories of the registry. Written from
https://docs.okd.io/3.11/rest_api/oapi/v1.ImageStream.html, v1.ImageStreamImage and
v1.ImageSignature.
"""

from __future__ import annotations

import base64
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.fakes.server import FakeServer

if TYPE_CHECKING:
    import ssl

    from tests.fakes.registry import FakeRegistry

INTERNAL = "172.30.1.1:5000"
"""The address of the registry inside the cluster."""

_STREAM = re.compile(r"/oapi/v1/namespaces/([^/]+)/imagestreams/([^/@]+)")
_IMAGE = re.compile(r"/oapi/v1/namespaces/([^/]+)/imagestreamimages/([^/@]+)@([^/@]+)")


class FakeOpenShift(FakeServer):
    """The API server of a cluster, which listens on loopback while its context is entered.

    Args:
        registry: the registry of the cluster.
        authorization: the value of the header that requests need; None: any.
        tls: the server's context, for HTTPS.
        public: whether image streams name ``registry`` as their public registry.
    """

    def __init__(
        self,
        registry: FakeRegistry,
        *,
        authorization: str | None = None,
        tls: ssl.SSLContext | None = None,
        public: bool = True,
        address: str = "127.0.0.1",
    ) -> None:
        self.registry = registry
        self.authorization = authorization
        self.tls = tls
        self.public = public
        self.signatures: dict[str, list[dict[str, Any]]] = {}
        """Signatures by the digest of the image; they are shared by all image streams."""
        self.external: dict[tuple[str, str], str] = {}
        """References of images in other repositories, by image stream and tag."""
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path and authorization of each request."""
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        """Status, headers and body of scripted responses, by path."""
        self._server = ThreadingHTTPServer((address, 0), _create_handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def host(self) -> str:
        """The address and port."""
        return "{}:{}".format(*self._server.server_address[:2])

    @property
    def url(self) -> str:
        """``http://`` or ``https://``, and the host."""
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def add_signature(self, image: str, content: bytes, kind: str = "atomic") -> None:
        """Store a signature of an image."""
        stored = self.signatures.setdefault(image, [])
        stored.append(_create_signature(f"{image}@{len(stored):032x}", content, kind))

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return the response to an authorized request."""
        if path in self.answers:
            return self.answers[path]
        if method == "GET" and (match := _STREAM.fullmatch(path)):
            return self._get_stream(*match.groups())
        if method == "GET" and (match := _IMAGE.fullmatch(path)):
            return self._get_image(*match.groups())
        if method == "POST" and path == "/oapi/v1/imagesignatures":
            return self._create_signature(json.loads(body))
        return create_status(404, "NotFound", "the server could not find the requested resource")

    def _get_stream(self, namespace: str, name: str) -> tuple[int, dict[str, str], bytes]:
        path = f"{namespace}/{name}"
        repository = self.registry.repositories.get(path)
        if repository is None:
            return create_status(404, "NotFound", f'imagestreams "{name}" not found')
        tags = [
            {
                "tag": tag,
                "items": [
                    {
                        "created": "2017-01-01T00:00:00Z",
                        "dockerImageReference": f"{INTERNAL}/{path}@{digest}",
                        "image": digest,
                        "generation": 1,
                    }
                ],
            }
            for tag, digest in repository.tags.items()
        ]
        tags += [
            {"tag": tag, "items": [{"dockerImageReference": text, "image": text.partition("@")[2]}]}
            for (stream, tag), text in self.external.items()
            if stream == path
        ]
        tags.append({"tag": "empty", "items": None})
        status: dict[str, Any] = {"dockerImageRepository": f"{INTERNAL}/{path}", "tags": tags}
        if self.public:
            status["publicDockerImageRepository"] = f"{self.registry.host}/{path}"
        metadata = {"name": name, "namespace": namespace, "uid": "1", "resourceVersion": "7"}
        return create_object("ImageStream", metadata=metadata, spec={}, status=status)

    def _get_image(self, namespace: str, name: str, digest: str) -> tuple[int, Any, bytes]:
        path = f"{namespace}/{name}"
        repository = self.registry.repositories.get(path)
        if repository is None or digest not in repository.manifests:
            return create_status(404, "NotFound", f'imagestreamimages "{name}@{digest}" not found')
        image = {
            "metadata": {"name": digest},
            "dockerImageReference": f"{INTERNAL}/{path}@{digest}",
            "signatures": self.signatures.get(digest),
        }
        metadata = {"name": f"{name}@{digest[7:17]}", "namespace": namespace}
        return create_object("ImageStreamImage", metadata=metadata, image=image)

    def _create_signature(self, value: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        assert (value["kind"], value["apiVersion"]) == ("ImageSignature", "v1")
        name = value["metadata"]["name"]
        image, _, suffix = name.partition("@")
        if (
            not suffix
            or not value.get("type")
            or not base64.b64decode(value["content"], validate=True)
        ):
            return create_status(422, "Invalid", f'ImageSignature "{name}" is invalid')
        if not any(image in item.manifests for item in self.registry.repositories.values()):
            return create_status(404, "NotFound", f'images "{image}" not found')
        stored = self.signatures.setdefault(image, [])
        if name in (item["metadata"]["name"] for item in stored):
            return create_status(409, "AlreadyExists", f'imagesignatures "{name}" already exists')
        stored.append(value)
        return 201, {"Content-Type": "application/json"}, json.dumps(value).encode()


def create_object(kind: str, **members: Any) -> tuple[int, dict[str, str], bytes]:
    """Create a response with an object of the API."""
    body = json.dumps({"kind": kind, "apiVersion": "v1", **members}).encode()
    return 200, {"Content-Type": "application/json"}, body


def create_status(code: int, reason: str, message: str) -> tuple[int, dict[str, str], bytes]:
    """Create a response with an error."""
    status = {"status": "Failure", "message": message, "reason": reason, "code": code}
    return code, *create_object("Status", metadata={}, **status)[1:]


def _create_signature(name: str, content: bytes, kind: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": "2017-01-01T00:00:00Z"},
        "type": kind,
        "content": base64.b64encode(content).decode(),
    }


def _create_handler(cluster: FakeOpenShift) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 10

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path, authorization = unquote(self.path), self.headers.get("Authorization")
            cluster.requests.append((self.command, path, authorization))
            if cluster.authorization not in (None, authorization):
                status, headers, content = create_status(401, "Unauthorized", "Unauthorized")
            else:
                status, headers, content = cluster.answer(self.command, path, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the server's names

    return Handler

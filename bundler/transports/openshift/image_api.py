"""Client of OpenShift's image API: the tags of image streams, and the signatures of images.

The server and the credentials are those of kubeconfig. Redirects are not followed, and credentials
are sent by HTTPS only. Signatures can be added, but not removed.

https://docs.okd.io/3.11/rest_api/oapi/v1.ImageSignature.html
https://github.com/containers/image/blob/v5.36.2/openshift/openshift.go
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundler.errors import (
    DeniedError,
    MalformedError,
    NotFoundError,
    RegistryError,
    UnauthorizedError,
)
from bundler.gocompat import json_encoding
from bundler.oci.json import base64_strict
from bundler.oci.json.table import Table
from bundler.oci.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.config.kubeconfig import Cluster
    from bundler.config.proxy_env import Scheme
    from bundler.config.registry_access import RegistryAccess
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions

MAX_SIGNATURES = 128
"""Maximum number of signatures of one image, as in containers/image."""

_MAX_TAGS = 100_000
_MAX_EVENTS = 10_000  # earlier images of a tag
_TYPE = "atomic"
_LOGIN = "log in with oc login"


@dataclass(frozen=True, slots=True)
class ImageStream:
    """An image stream: the current image of each tag, and the registries that serve it."""

    images: dict[str, str]
    """By tag, the reference of the image, which begins with an address inside the cluster."""
    registry_hosts: frozenset[str]
    """The ``host[:port]`` of each registry of the cluster that the server names."""


class ImageApi:
    """Client of the image API for one image stream; thread-safe. ``path`` is NAMESPACE/STREAM.

    Raises:
        ConfigError: kubeconfig is invalid, or names no server.
    """

    def __init__(self, path: str, options: OpenOptions) -> None:
        from bundler.registry.services.service_client import ServiceClient  # noqa: PLC0415 - imports requests

        self._settings = options.load_settings()
        self.cluster: Cluster = self._settings.cluster
        self._namespace, _, self._stream = path.partition("/")
        self._path = path

        def find_access(host: str, scheme: Scheme) -> RegistryAccess:
            access = self._settings.get_service_access(host, scheme)
            return replace(access, tls=replace(self.cluster.tls, details=access.tls.details))

        self._client = ServiceClient(find_access, options.cancellation, options.emit)

    def get_stream(self) -> ImageStream:
        """Return the image stream.

        Raises:
            NotFoundError: the image stream does not exist.
            MalformedError: the response is malformed.
            RegistryError: the server refuses the request, or cannot be reached.
        """
        subject = f"image stream {self._path}"
        status = self._get(f"{self._in_namespace}/imagestreams/{self._stream}", subject).table(
            "status"
        )
        images: dict[str, str] = {}
        for tag in status.tables("tags", _MAX_TAGS):
            events = tag.tables("items", _MAX_EVENTS)
            if events:
                images.setdefault(tag.text("tag"), events[0].text("dockerImageReference"))
        repositories = (
            status.optional_text(key) or ""
            for key in ("dockerImageRepository", "publicDockerImageRepository")
        )
        hosts = (text.partition("/")[0] for text in repositories)
        return ImageStream(images, frozenset(host for host in hosts if is_domain(host)))

    def list_signatures(self, manifest: Digest) -> list[bytes]:
        """Return the simple signatures of an image of the stream, unverified.

        Raises:
            NotFoundError: the image stream does not contain the image.
            LimitError: there are too many signatures, or they are too large.
            MalformedError: the response is malformed.
            RegistryError: the server refuses the request, or cannot be reached.
        """
        subject = f"image {self._path}@{manifest}"
        path = f"{self._in_namespace}/imagestreamimages/{self._stream}@{manifest}"
        image = self._get(path, subject).table("image")
        name = image.table("metadata").optional_text("name")
        if name not in (None, manifest.text):
            raise MalformedError(f"{subject}: the server returned another image: {name[:80]!r}")
        return [
            entry.base64("content")
            for entry in image.tables("signatures", MAX_SIGNATURES)
            if entry.value.get("type") == _TYPE
        ]

    def add_signatures(self, manifest: Digest, signatures: Sequence[bytes]) -> None:
        """Add the simple signatures that the image does not have yet.

        Raises:
            BundlerError: the server refuses a request; earlier signatures remain stored.
        """
        present = self.list_signatures(manifest)
        for content in signatures:
            if content in present:
                continue
            present.append(content)
            value = {
                "kind": "ImageSignature",
                "apiVersion": "v1",
                "metadata": {"name": f"{manifest}@{secrets.token_hex(16)}"},
                "type": _TYPE,
                "content": base64_strict.encode(content),
            }
            subject = f"signature of {self._path}@{manifest}"
            body = json_encoding.dumps(value)
            self._send("POST", "/oapi/v1/imagesignatures", subject, body)

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    @property
    def _in_namespace(self) -> str:
        return f"/oapi/v1/namespaces/{self._namespace}"

    def _get(self, path: str, subject: str) -> Table:
        return Table.parse(self._send("GET", path, subject), subject)

    def _send(self, method: str, path: str, subject: str, body: bytes | None = None) -> bytes:
        """Return the body of a successful response."""
        credentials, headers = self.cluster.credentials, {}
        if credentials.registry_token is not None:
            headers["Authorization"] = f"Bearer {credentials.registry_token}"
        elif credentials.username is not None:
            pair = f"{credentials.username}:{credentials.password or ''}".encode()
            headers["Authorization"] = f"Basic {base64_strict.encode(pair)}"
        url = f"{self.cluster.url}{path}"
        response = self._client.send(method, url, subject=subject, headers=headers, body=body)
        status, subject = response.status, f"{subject}: {self.cluster.host}"
        if status == 401:
            problem = f"{subject}: the server rejects the credentials of kubeconfig"
            raise UnauthorizedError(problem, status=status, hint=_LOGIN)
        if status == 403:
            raise DeniedError(f"{subject}: access denied", status=status, hint=_LOGIN)
        if status == 404:
            raise NotFoundError(f"{subject}: not found")
        if not 200 <= status < 300:
            raise RegistryError(f"{subject}: HTTP status {status}", status=status)
        return response.body

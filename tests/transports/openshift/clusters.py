"""A cluster in this process: an API server, a registry, and the kubeconfig of a user."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING, Any

import trustme

from bundler import transports
from bundler.config.paths import AuthLocation, ConfigPaths
from bundler.config.registry_access import RegistryLimits, RegistryOverride
from bundler.config.settings import Settings
from bundler.ports import OpenOptions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.openshift import FakeOpenShift

AUTHORITY = trustme.CA()
TOKEN = "sha256~secret-token"
USER = {"token": TOKEN}


def create_server_context() -> ssl.SSLContext:
    """Create the TLS context of an API server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1", "127.0.0.2").configure_cert(context)
    return context


def encode(data: bytes) -> str:
    """Encode as in a ``-data`` member."""
    return base64.b64encode(data).decode()


class ClusterUser:
    """A user of ``cluster``, whose files are in ``directory``."""

    def __init__(self, cluster: FakeOpenShift, directory: Path) -> None:
        self.cluster = cluster
        self.kubeconfig = directory / "kubeconfig"
        self.authfile = directory / "auth.json"
        self.credentials = RegistryOverride()
        self.configure()

    def configure(self, user: dict[str, Any] | None = None, **members: Any) -> None:
        """Write kubeconfig, with a user and the members of the cluster."""
        authority = {"certificate-authority-data": encode(AUTHORITY.cert_pem.bytes())}
        cluster = {"server": self.cluster.url, **(authority if self.cluster.tls else {}), **members}
        value = {
            "kind": "Config",
            "apiVersion": "v1",
            "current-context": "mine",
            "contexts": [{"name": "mine", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "me", "user": USER if user is None else user}],
        }
        self.kubeconfig.write_text(json.dumps(value))

    def options(self) -> OpenOptions:
        """Return the options for opening image streams."""
        auth = (AuthLocation(self.authfile),)
        paths = ConfigPaths(kubeconfig=(self.kubeconfig,), auth=auth)
        limits = RegistryLimits(patience=1.0)
        override = RegistryOverride(plain_http=True, limits=limits)
        override = self.credentials.with_defaults(override)
        overrides = {self.cluster.registry.host: override}
        return OpenOptions(lambda: Settings(paths, patience=1.0), overrides=overrides)

    @property
    def reference(self):
        """The image stream tag ``app``."""
        return transports.parse(f"atomic:{self.cluster.registry.host}/tests/app:app")

    def source(self):
        """Open the image stream for reading."""
        return transports.open_source(self.reference, self.options())

    def destination(self):
        """Open the image stream for writing."""
        return transports.open_destination(self.reference, self.options())

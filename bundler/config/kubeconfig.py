"""Reader of kubeconfig files: the API server of the current context, and how to log in to it.

Several files are merged: the first one that defines a name applies. Credentials are returned for
servers with HTTPS only. Programs that obtain credentials (``exec``) are not supported.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bundler.config import config_file
from bundler.config.registry_access import ANONYMOUS, Credentials, EmbeddedCertificates, TlsConfig
from bundler.errors import ConfigError
from bundler.oci.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bundler.config.proxy_env import Scheme
    from bundler.oci.json.table import Table

_HINT = "log in with oc login, or set KUBECONFIG"
_MAX_ENTRIES = 10_000  # of clusters, users or contexts in one file
_OTHER_LOGINS = ("exec", "auth-provider", "tokenFile")
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The API server of a cluster, with the credentials of a user."""

    scheme: Scheme
    host: str
    """``host[:port]``."""
    credentials: Credentials = ANONYMOUS
    """A bearer token, a user name with a password, or neither."""
    tls: TlsConfig = field(default_factory=TlsConfig)

    @property
    def url(self) -> str:
        """The URL of the server, without a path."""
        return f"{self.scheme}://{self.host}"


def load(paths: Iterable[Path]) -> Cluster:
    """Read the cluster of the current context; files that do not exist are skipped.

    Raises:
        ConfigError: a file cannot be read or is invalid, or there is no current context.
    """
    files = [(path, raw) for path in paths if (raw := config_file.read(path)) is not None]
    documents = [(path, config_file.parse_yaml(raw, str(path))) for path, raw in files]
    name = next(
        (found for _, item in documents if (found := item.optional_text("current-context"))), None
    )
    if name is None:
        raise ConfigError("kubeconfig: no current context", hint=_HINT)
    _, context = _find(documents, "context", name)
    cluster_path, cluster = _find(documents, "cluster", context.text("cluster"))
    server, authorities = (
        cluster.text("server"),
        _read_pem(cluster, "certificate-authority", cluster_path),
    )
    insecure = cluster.one_of("insecure-skip-tls-verify", ("true", "false"), "false") == "true"
    if insecure and authorities is not None:
        raise cluster.problem("insecure-skip-tls-verify and a certificate authority are both set")
    credentials, client, origin = ANONYMOUS, None, cluster_path
    if (user_name := context.optional_text("user")) is not None:
        origin, user = _find(documents, "user", user_name)
        credentials = _read_credentials(user)
        if (certificate := _read_pem(user, "client-certificate", origin)) is not None:
            if (key := _read_pem(user, "client-key", origin)) is None:
                raise user.problem("client-certificate is set, but not client-key")
            client = certificate + b"\n" + key
        if credentials.anonymous and client is None:
            for name in (name for name in _OTHER_LOGINS if name in user):
                error = user.problem(f"{name} is not supported")
                error.hint = "specify a token, for example with oc login --token"
                raise error
    defaults_to_tls = insecure or authorities is not None or client is not None
    scheme, host = _parse_server(cluster, server, "https" if defaults_to_tls else "http")
    if scheme == "http":
        return Cluster(scheme, host, tls=TlsConfig(plain_http=True))
    embedded = EmbeddedCertificates(str(cluster_path), str(origin), authorities, client)
    return Cluster(scheme, host, credentials, TlsConfig(verify=not insecure, embedded=embedded))


def _find(documents: list[tuple[Path, Table]], kind: str, name: str) -> tuple[Path, Table]:
    """Return the entry ``name`` of the first file that defines it, and the path of the file."""
    for path, document in documents:
        for entry in document.tables(f"{kind}s", _MAX_ENTRIES):
            if entry.optional_text("name") == name:
                return path, entry.table(kind)
    raise ConfigError(f"kubeconfig: no {kind} {name[:80]!r}", hint=_HINT)


def _read_credentials(user: Table) -> Credentials:
    token = user.optional_text("token")
    username, password = user.optional_text("username"), user.optional_text("password")
    if token is not None and (username or password):
        raise user.problem("a token and a user name are both set (expected one of them)")
    if token is not None:
        if _TOKEN.fullmatch(token) is None:
            raise user.problem("token contains characters that are not allowed")
        return Credentials(registry_token=token)
    if username is None:
        return ANONYMOUS
    return Credentials(username=username, password=password or "")


def _read_pem(table: Table, key: str, path: Path) -> bytes | None:
    """Return the PEM data of ``KEY-data``, or of the file ``KEY`` relative to the kubeconfig."""
    data, file = table.base64(f"{key}-data"), table.optional_text(key)
    if data and file is not None:
        raise table.problem(f"{key} and {key}-data are both set (expected one of them)")
    if file is not None:
        data = config_file.read(path.parent / file, required=True)
    return data or None


def _parse_server(cluster: Table, server: str, default: Scheme) -> tuple[Scheme, str]:
    """Return the scheme and ``host[:port]`` of a server; its path is not used, as in Skopeo."""
    text = server if "://" in server else f"{default}://{server}"
    scheme = urlsplit(text).scheme if server.isascii() and server.isprintable() else ""
    host = text.partition("://")[2].partition("/")[0]
    if scheme not in ("http", "https") or not is_domain(host):
        raise cluster.problem("server is not valid (expected https://HOST[:PORT])")
    return ("http" if scheme == "http" else "https"), host

"""Scenarios under the name skopeo, where every line of output is a format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.golden import samples

if TYPE_CHECKING:
    from tests.golden.session import Session

PLAIN = "--tls-verify=false"
POLICY = "--insecure-policy"


def skopeo_copy(session: Session) -> None:
    """Copy between layouts, directories, archives and a registry."""
    registry = session.registry()
    samples.push_images(registry)
    samples.write_layout(session.directory)
    session.skopeo(POLICY, "copy", "oci:layout:web:1", "dir:tree", "--digestfile", "digest")
    session.files("tree")
    session.files("digest")
    session.skopeo(POLICY, "copy", "--all", "oci:layout:tool:2", "oci:out:tool")
    session.skopeo(POLICY, "copy", "--quiet", "oci:layout:db:3", "oci:out:db")
    session.files("out")
    source = f"docker://{registry.host}/team/web:1"
    session.skopeo(POLICY, "copy", "--src-tls-verify=false", source, "oci:out:web")
    to = f"docker://{registry.host}/copies/web:1"
    session.skopeo(POLICY, "copy", "--dest-tls-verify=false", "oci:out:web", to)
    session.repository(registry, "copies/web")
    session.skopeo(POLICY, "copy", "oci:layout:web:1", "docker-archive:web.tar:example.com/web:1")
    session.files("web.tar")


def skopeo_sync(session: Session) -> None:
    """Sync from a registry to a directory."""
    registry = session.registry()
    samples.push_images(registry)
    source = f"{registry.host}/team/web:1"
    to = ("--src", "docker", "--dest", "dir", "--src-tls-verify=false", source, "tree")
    session.write("tree/other", "stays\n")
    session.skopeo(POLICY, "sync", "--scoped", *to)
    session.files("tree")
    session.skopeo(POLICY, "sync", "--src", "docker", "--dest", "registry", source, "tree")


def skopeo_inspect(session: Session) -> None:
    """Print summaries, manifests, tags and digests."""
    registry = session.registry()
    samples.push_images(registry)
    samples.write_layout(session.directory)
    session.skopeo("inspect", PLAIN, f"docker://{registry.host}/team/web:1")
    session.skopeo("inspect", "oci:layout:web:1")
    session.skopeo("inspect", "--raw", "oci:layout:web:1")
    session.skopeo("inspect", "--config", "oci:layout:web:1")
    session.skopeo("inspect", "--format", "{{.Digest}} {{.Labels}}", "oci:layout:web:1")
    session.skopeo("inspect", PLAIN, f"docker://{registry.host}/team/gone:1")
    session.skopeo("list-tags", PLAIN, f"docker://{registry.host}/team/web")
    session.skopeo("manifest-digest", "-", stdin=samples.WEB.root.data.decode())


def skopeo_delete_and_login(session: Session) -> None:
    """Delete images, and change the credentials for a registry."""
    registry, closed = session.registry(), session.registry(auth="basic")
    samples.push_images(registry)
    session.skopeo("delete", PLAIN, f"docker://{registry.host}/team/web:2.0")
    session.repository(registry, "team/web")
    session.skopeo("delete", PLAIN, f"docker://{registry.host}/team/web:2.0")
    name = ("-u", "user", "--password-stdin", PLAIN)
    session.skopeo("login", *name, closed.host, stdin="password\n")
    session.files("run/containers/auth.json")
    session.skopeo("login", "--get-login", closed.host)
    session.skopeo("login", *name, closed.host, stdin="wrong\n")
    session.skopeo("logout", closed.host)
    session.skopeo("logout", closed.host)


def skopeo_refusals(session: Session) -> None:
    """Errors in the command line, and unreadable sources."""
    samples.write_layout(session.directory)
    session.skopeo("--version")
    session.skopeo("--help", prints_help=True)
    session.skopeo("copy", prints_help=True)
    session.skopeo("frobnicate")
    session.skopeo("copy", "--frobnicate", "a", "b")
    session.skopeo(POLICY, "copy", "layout", "dir:tree")
    session.skopeo("copy", "oci:layout:web:1", "dir:tree")
    session.write("policy.json", '{"default": [{"type": "reject"}]}\n')
    session.skopeo("--policy", "policy.json", "copy", "oci:layout:web:1", "dir:rejected")
    session.skopeo(POLICY, "copy", "oci:layout:gone:9", "dir:tree")
    session.skopeo(POLICY, "copy", "oci:nowhere:web", "dir:tree")
    session.skopeo("inspect", "docker://127.0.0.1:1/web:1")

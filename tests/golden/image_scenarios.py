"""Scenarios of the commands for images and repositories, under the name airbundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.golden import samples

if TYPE_CHECKING:
    from tests.golden.session import Session

PLAIN_SOURCE = "--src-tls-verify=false"
PLAIN_DESTINATION = "--dest-tls-verify=false"
PLAIN = "--tls-verify=false"


def copy_local(session: Session) -> None:
    """Copy between layouts, directories and archives."""
    samples.write_layout(session.directory)
    session.airbundle("copy", "oci:layout:tool:2", "dir:tree", "--digestfile", "digest")
    session.files("tree")
    session.files("digest")
    two = ("--platform", "linux/amd64", "--platform", "linux/arm64")
    session.airbundle("copy", *two, "oci:layout:tool:2", "oci:two:tool", "--json")
    session.files("two")
    session.airbundle("copy", "oci:layout:db:3", "oci:converted:db", "--format", "oci", "--json")
    session.files("converted")
    session.airbundle("copy", "oci:layout:web:1", "dir:dry", "--dry-run")
    session.airbundle("copy", "oci:layout:web:1", "dir:dry", "--dry-run", "--json")
    session.airbundle("copy", "oci:layout:web:1", "docker-archive:web.tar:example.com/web:1")
    session.files("web.tar")
    session.airbundle("copy", "oci:layout:web:1", "oci-archive:web.oci.tar:web", "--json")
    session.files("web.oci.tar")


def copy_registry(session: Session) -> None:
    """Copy from and to a registry."""
    registry = session.registry()
    samples.push_images(registry)
    source = f"docker://{registry.host}/team/web:1"
    session.airbundle("copy", PLAIN_SOURCE, "--referrers", source, "oci:out:web", "--json")
    session.files("out")
    to = f"docker://{registry.host}/copies/web:1"
    session.airbundle("copy", PLAIN_DESTINATION, "oci:out:web", to, "--json")
    session.airbundle("copy", PLAIN, source, to)
    session.repository(registry, "copies/web")


def sync(session: Session) -> None:
    """Sync from a registry to a directory, and from a YAML list to a registry."""
    registry = session.registry()
    samples.push_images(registry)
    to_tree = ("sync", "-s", "docker", "-d", "dir", PLAIN_SOURCE, f"{registry.host}/team/web:1")
    session.airbundle(*to_tree, "tree", "--dry-run")
    session.airbundle(*to_tree, "tree", "--json")
    session.airbundle(*to_tree, "tree")
    session.files("tree")
    session.write(
        "list.yaml",
        f"{registry.host}:\n"
        "  tls-verify: false\n"
        "  images: {team/tool: []}\n"
        "  images-by-semver: {team/web: '>= 2'}\n",
    )
    to_registry = ("sync", "-s", "yaml", "-d", "docker", PLAIN_DESTINATION, "list.yaml")
    session.airbundle(*to_registry, f"{registry.host}/mirror", "--digestfile", "names", "--json")
    session.files("names")


def inspect(session: Session) -> None:
    """Inspect images in a layout and a registry: summary, manifest, config, template."""
    registry = session.registry()
    samples.push_images(registry)
    samples.write_layout(session.directory)
    web = f"docker://{registry.host}/team/web:1"
    session.airbundle("inspect", PLAIN, web)
    session.airbundle("inspect", "oci:layout:tool:2", "--platform", "linux/arm64")
    session.airbundle("inspect", "oci:layout:chart:4")
    session.airbundle("inspect", "--raw", "oci:layout:web:1")
    session.airbundle("inspect", "--config", "oci:layout:web:1")
    session.airbundle("inspect", "--format", "{{.Digest}} {{.Labels}}", "oci:layout:web:1")
    session.airbundle("list-tags", PLAIN, f"docker://{registry.host}/team/web")
    session.airbundle("list-tags", "oci:layout")
    session.airbundle("inspect", "oci:layout:gone:9")


def delete(session: Session) -> None:
    """Delete images from a layout and a registry."""
    registry = session.registry()
    samples.push_images(registry)
    samples.write_layout(session.directory)
    session.airbundle("delete", "oci:layout:tool:2")
    session.airbundle("delete", "oci:layout:web:1", "--json")
    session.files("layout")
    session.airbundle("delete", PLAIN, f"docker://{registry.host}/team/web:1", "--json")
    session.repository(registry, "team/web")
    session.airbundle("delete", PLAIN, f"docker://{registry.host}/team/web:1")


def manifest_digest(session: Session) -> None:
    """Compute the digest of a file and of standard input."""
    (session.directory / "manifest.json").write_bytes(samples.WEB.root.data)
    session.airbundle("manifest-digest", "manifest.json")
    session.airbundle("manifest-digest", "manifest.json", "--json")
    session.airbundle("manifest-digest", "-", stdin=samples.TOOL.root.data.decode())


def login(session: Session) -> None:
    """Check, store, print and remove credentials."""
    registry = session.registry(auth="basic")
    name = ("-u", "user", "--password-stdin", PLAIN)
    session.airbundle("login", *name, registry.host, stdin="password\n")
    session.files("run/containers/auth.json")
    session.airbundle("login", "--get-login", registry.host)
    session.airbundle("login", *name, registry.host, "--json", stdin="password\n")
    session.airbundle("login", *name, registry.host, stdin="wrong\n")
    session.airbundle("logout", registry.host, "--json")
    session.airbundle("logout", registry.host)
    session.files("run/containers/auth.json")

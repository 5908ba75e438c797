"""One failure for each exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes import bundles
from tests.golden import samples

if TYPE_CHECKING:
    from tests.golden.session import Session

PLAIN = "--tls-verify=false"
PLAIN_SOURCE = "--src-tls-verify=false"
PLAIN_DESTINATION = "--dest-tls-verify=false"


def help_texts(session: Session) -> None:
    """The version, and the help of the program and of one command."""
    session.airbundle("--version")
    session.airbundle("--help")
    session.airbundle("verify", "--help")
    session.airbundle()


def usage_errors(session: Session) -> None:
    """Status 2: mistakes in a command line or a file."""
    session.airbundle("exprot")
    session.airbundle("export", "--frobnicate")
    session.airbundle("export", "ward.yaml")
    session.airbundle("export", "missing.yaml", "stick", "--unsigned")
    session.write("wrong.yaml", "images:\n  - oci:./layout:web:1\n  - {reff: x}\n")
    session.airbundle("export", "wrong.yaml", "stick", "--unsigned")
    session.write("broken.yaml", "images: [\n")
    session.airbundle("plan", "broken.yaml", "--json")
    session.airbundle("copy", "layout", "dir:tree")
    session.airbundle("copy", "-j", "0", "oci:layout", "dir:tree")
    bundles.write(session.directory / "stick")
    session.airbundle("import", "stick", "ftp:inside", "--allow-unsigned", "--reason", "test")
    session.airbundle("list-tags", "docker://Upper/Case")


def exit_statuses(session: Session) -> None:
    """Every other exit status of a failure."""
    registry, closed = session.registry(), session.registry(auth="basic")
    samples.push_images(registry)
    samples.write_layout(session.directory)
    web = samples.WEB.blobs[1]
    # 1: the destination cannot store the image unchanged.
    archive = "docker-archive:web.tar:example.com/web:1"
    session.airbundle("copy", "--preserve-digests", "oci:layout:web:1", archive)
    # 3: the content differs from its digest.
    registry.repository("team/web").blobs[web.digest] = bytes(len(web.data))
    source = f"docker://{registry.host}/team/web:1"
    session.airbundle("copy", PLAIN_SOURCE, source, "dir:tree")
    # 4: a policy rejects everything.
    session.write("policy.json", '{"default": [{"type": "reject"}]}\n')
    session.airbundle("--policy", "policy.json", "copy", "oci:layout:web:1", "dir:tree")
    # 5: the directory cannot be written.
    bundles.write(session.directory / "stick")
    to = ("import", "stick", "oci:inside", "--allow-unsigned", "--reason", "test")
    session.airbundle(*to, "--receipt", "missing/receipt.json")
    # 6: a server without TLS.
    session.airbundle("inspect", f"docker://{registry.host}/team/tool:2")
    # 7: credentials are required.
    session.airbundle("inspect", PLAIN, f"docker://{closed.host}/team/web:1")
    # 8: a manifest beyond the limit.
    registry.add_manifest("team/huge", "1", b'{"schemaVersion":2}'.ljust(5 << 20))
    session.airbundle("inspect", PLAIN, f"docker://{registry.host}/team/huge:1")
    # 9: the name does not exist.
    session.airbundle("copy", PLAIN_SOURCE, f"docker://{registry.host}/team/gone:1", "dir:tree")
    # 10: a registry with immutable tags.
    kept = session.registry(immutable_tags=True)
    samples.push_docker(kept, "web", "1")
    session.airbundle("copy", PLAIN_DESTINATION, "oci:layout:web:1", f"docker://{kept.host}/web:1")
    # 11: some images are copied; with one job, the same blobs are transferred each time.
    session.airbundle(
        "sync", "-s", "docker", "-d", "dir", PLAIN_SOURCE, "--keep-going", "--json", "--jobs", "1",
        f"{registry.host}/team/web", "synced",
    )  # fmt: skip

"""Scenarios of bundles: export, plan, lock, verify, ls, import, sign, keygen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes import bundles
from tests.golden import samples

if TYPE_CHECKING:
    from tests.fakes.registry import FakeRegistry
    from tests.golden.session import Session

WARD = """\
name: ward
defaults: {platforms: [linux/amd64, linux/arm64]}
images:
  - oci:./layout:web:1
  - oci:./layout:tool:2
"""
PLANT = """\
name: plant-7
expires: 90d
images:
  - {ref: "oci:./layout:web:1", rename: control/web:one}
  - {ref: "oci:./layout:tool:2", platforms: [linux/amd64], index: sparse}
include:
  - more.yaml
  - images.txt
exclude:
  images: ['db:3$']
rename:
  - {match: '^localhost/(?P<path>.+)$', to: 'mirror/{path}'}
"""
MORE = """\
defaults: {platforms: [linux/amd64, linux/arm/v7], index: sparse}
images:
  - {ref: "oci:./layout:tool:2", rename: other/tool:sparse}
"""
IMAGES = """\
# One reference per line.
oci:./layout:db:3
oci:./layout:chart:4
"""


def export_oci(session: Session) -> None:
    """Export in format oci with a stripped index, repeated without and with a change."""
    _write_ward(session)
    session.airbundle("export", "ward.yaml", "stick", "--sign-key", "first.key")
    session.files("stick")
    session.airbundle("export", "ward.yaml", "stick", "--sign-key", "first.key", "--json")
    session.write("ward.yaml", f"{WARD}  - oci:./layout:db:3\n")
    session.airbundle("export", "ward.yaml", "stick", "--sign-key", "first.key", "--json")
    session.files("stick")


def export_dir(session: Session) -> None:
    """Export in format dir, with hard links or copies of shared blobs."""
    _write_ward(session)
    session.airbundle("export", "ward.yaml", "stick", "--format", "dir", "--unsigned", "--json")
    session.files("stick")
    copies = ("--format", "dir", "--unsigned", "--duplicate-blobs")
    session.airbundle("export", "ward.yaml", "copies", *copies)
    session.files("copies")


def export_all_members(session: Session) -> None:
    """Export with sparse indexes, target names, included files, excluded images and an expiry."""
    samples.write_layout(session.directory)
    session.write("plant.yaml", PLANT.replace('  - {ref: "oci:./layout:tool:2"', "  # - {ref:"))
    session.write("more.yaml", MORE)
    session.write("images.txt", IMAGES)
    session.airbundle("export", "plant.yaml", "stick", "--unsigned", "--json")
    session.files("stick")
    session.airbundle("ls", "stick", "--json")
    session.write("plant.yaml", PLANT)
    session.airbundle("export", "plant.yaml", "twice", "--unsigned")


def export_from_registry(session: Session) -> None:
    """Export from a registry with referrers, a digest, and tags selected by version."""
    registry = session.registry()
    samples.push_images(registry)
    _write_team_manifest(session, registry)
    session.airbundle("export", "team.yaml", "stick", "--sign-key", "second.key")
    session.files("stick")
    session.airbundle("export", "team.yaml", "tree", "--format", "dir", "--unsigned", "--json")
    session.files("tree")
    session.airbundle("ls", "stick")


def export_keep_going(session: Session) -> None:
    """Export without a missing image, to an incomplete bundle."""
    _write_ward(session)
    session.write("ward.yaml", f"{WARD}  - oci:./layout:gone:9\n")
    session.airbundle("export", "ward.yaml", "stick", "--unsigned", "--keep-going", "--json")
    session.files("stick/bundle.json")
    session.airbundle("export", "ward.yaml", "other", "--unsigned", "--keep-going")
    session.airbundle("export", "ward.yaml", "none", "--unsigned", "--json")


def export_dry_run(session: Session) -> None:
    """Dry run of an export, which writes nothing."""
    _write_ward(session)
    session.airbundle("export", "ward.yaml", "stick", "--unsigned", "--dry-run")
    session.airbundle("export", "ward.yaml", "stick", "--unsigned", "--dry-run", "--json")


def plan(session: Session) -> None:
    """Plan of an export, without and with a destination."""
    _write_ward(session)
    session.airbundle("plan", "ward.yaml")
    session.airbundle("plan", "ward.yaml", "--json")
    session.airbundle("export", "ward.yaml", "stick", "--unsigned")
    session.write("ward.yaml", f"{WARD}  - oci:./layout:db:3\n")
    session.airbundle("plan", "ward.yaml", "stick")
    session.airbundle("plan", "ward.yaml", "stick", "--json")


def lock(session: Session) -> None:
    """Write, renew and use a lock file; refuse a moved tag."""
    registry = session.registry()
    samples.push_images(registry)
    _write_team_manifest(session, registry)
    session.airbundle("lock", "team.yaml")
    session.files("team.lock.yaml")
    session.airbundle("lock", "team.yaml", "--json")
    registry.repository("team/web").tags["1"] = samples.DOCKER.digest
    session.airbundle("export", "team.yaml", "stick", "--unsigned", "--locked", "--json")
    samples.move_tag(registry)
    session.airbundle("lock", "team.yaml", "--json")
    session.airbundle("lock", "team.yaml")


def verify(session: Session) -> None:
    """Verify bundles that are valid, signed by another key, unsigned, or expired."""
    bundles.write(session.directory / "stick")
    session.airbundle("sign", "stick", "--key", "first.key")
    session.airbundle("verify", "stick", "--key", "first.pub")
    session.airbundle("verify", "stick", "--key", "first.pub", "--key", "second.pub", "--json")
    session.airbundle("verify", "stick", "--key", "second.pub")
    session.airbundle("verify", "stick", "--key", "second.pub", "--json")
    session.airbundle("verify", "stick", "--json")
    (signature,) = (session.directory / "stick").glob("*.sig")
    signature.write_bytes(bytes(64))
    session.airbundle("verify", "stick", "--key", "first.pub", "--json")
    signature.unlink()
    session.airbundle("verify", "stick", "--key", "first.pub", "--json")
    bundles.write(session.directory / "old", expires="2025-01-01T00:00:00Z")
    session.airbundle("verify", "old", "--key", "first.pub", "--json")
    session.airbundle("verify", "nowhere", "--key", "first.pub", "--json")


def verify_damaged(session: Session) -> None:
    """Verify damaged bundles, with each kind of finding."""
    stick = bundles.write(session.directory / "stick")
    blobs = sorted((stick / "blobs/sha256").iterdir())
    blobs[0].write_bytes(bytes(len(blobs[0].read_bytes())))
    blobs[1].write_bytes(b"short")
    blobs[2].unlink()
    blobs[3].unlink()
    blobs[3].symlink_to(blobs[4])
    (stick / "blobs/sha256" / ("0" * 64)).write_bytes(b"not listed")
    (stick / "blobs/notes.txt").write_bytes(b"no content")
    (stick / "oci-layout").write_text("{")
    (stick / "holiday.jpg").write_bytes(b"not the bundle's")
    session.airbundle("verify", "stick", "--key", "first.pub", "--json")
    session.airbundle("verify", "stick", "--key", "first.pub")
    other = bundles.write(session.directory / "other")
    (other / "SHA256SUMS").write_text("nonsense\n")
    session.airbundle("verify", "other", "--key", "first.pub", "--json")
    (other / "bundle.json").write_text("{}\n")
    session.airbundle("verify", "other", "--key", "first.pub", "--json")


def ls(session: Session) -> None:
    """List a bundle of each format, written without the program."""
    bundles.write(session.directory / "stick")
    bundles.write(session.directory / "tree", form="dir")
    session.airbundle("ls", "stick")
    session.airbundle("ls", "stick", "--json")
    session.airbundle("ls", "tree", "--json")
    session.airbundle("ls", "nowhere", "--json")


def import_oci(session: Session) -> None:
    """Import into a layout: new, repeated, and with a conflicting name."""
    _export_to_stick(session)
    to = ("import", "stick", "oci:inside", "--key", "first.pub")
    session.airbundle(*to, "--dry-run")
    session.airbundle(*to, "--dry-run", "--json")
    session.airbundle(*to, "--receipt", "receipt.json")
    session.files("inside")
    session.files("receipt.json")
    session.airbundle(*to, "--receipt", "receipt.json", "--json")
    bundles.write(session.directory / "other", {"localhost/web:1": samples.DOCKER})
    other = (
        "import",
        "other",
        "oci:inside",
        "--allow-unsigned",
        "--reason",
        "test",
        "--receipt",
        "receipt.json",
    )
    session.airbundle(*other, "--json")
    session.airbundle(*other, "--names", "localhost=renamed", "--json")
    session.airbundle(*other, "--existing", "skip", "--json")
    session.airbundle(*other, "--existing", "overwrite")


def import_dir(session: Session) -> None:
    """Import all or selected images into a tree of dir: images."""
    _export_to_stick(session)
    to = ("import", "stick", "dir:inside", "--key", "first.pub")
    session.airbundle(*to, "--only", "web", "--receipt", "receipt.json", "--json")
    session.airbundle(*to, "--keep-host")
    session.files("inside")


def import_registry(session: Session) -> None:
    """Import into a registry, with a receipt, and with a conflicting name."""
    registry = session.registry()
    samples.push_docker(registry, "airgap/tool", "2")
    _export_to_stick(session)
    to = ("import", "stick", f"docker://{registry.host}/airgap", "--key", "first.pub")
    plain = (*to, "--tls-verify=false")
    session.airbundle(*plain, "--json")
    session.airbundle(*plain, "--existing", "skip", "--json")
    session.files("home")
    session.airbundle(*plain, "--existing", "overwrite", "--receipt", "receipt.json")
    session.files("receipt.json")
    session.airbundle(*plain, "--verify-first", "--receipt", "again.json", "--json")
    session.repository(registry, "airgap/web")
    session.repository(registry, "airgap/tool")


def import_target_file(session: Session) -> None:
    """Import with a target file that maps names, and with referrers."""
    source, target = session.registry(), session.registry()
    samples.push_images(source)
    _write_team_manifest(session, source)
    session.airbundle("export", "team.yaml", "stick", "--sign-key", "first.key")
    session.write(
        "inside.yaml",
        f"target: docker://{target.host}/airgap\n"
        "tls: {plainHttp: true}\n"
        f"names: {{'{source.host}/team': base}}\n"
        "existing: skip\n",
    )
    session.airbundle("import", "stick", "inside.yaml", "--key", "first.pub")
    to = ("import", "stick", "inside.yaml", "--key", "first.pub", "--receipt", "receipt.json")
    session.airbundle(*to, "--json")
    session.repository(target, "airgap/base/web")


def import_untrusted(session: Session) -> None:
    """Import bundles that are unsigned, signed by another key, expired, or damaged."""
    samples.write_layout(session.directory)
    bundles.write(session.directory / "stick")
    bundles.write(session.directory / "old", expires="2025-01-01T00:00:00Z")
    damaged = bundles.write(session.directory / "damaged")
    layer = damaged / "blobs/sha256" / bundles.sample()[bundles.REFERENCES[0]].blobs[2].digest[7:]
    layer.write_bytes(bytes(layer.stat().st_size))
    session.airbundle("import", "stick", "oci:inside", "--key", "first.pub", "--json")
    session.airbundle("import", "stick", "oci:inside")
    session.airbundle("import", "old", "oci:inside", "--allow-unsigned", "--reason", "test")
    session.airbundle(
        "import",
        "old",
        "oci:inside",
        "--allow-unsigned",
        "--reason",
        "test",
        "--allow-expired",
        "-q",
    )
    session.airbundle(
        "import", "damaged", "oci:other", "--allow-unsigned", "--reason", "test", "--json"
    )
    keep_going = (
        "--allow-unsigned",
        "--reason",
        "test",
        "--keep-going",
        "--receipt",
        "receipt.json",
        "--json",
    )
    session.airbundle("import", "damaged", "oci:kept", *keep_going)


def sign(session: Session) -> None:
    """Sign with keys of both types, one of them encrypted with a passphrase."""
    bundles.write(session.directory / "stick")
    session.airbundle("sign", "stick", "--key", "first.key")
    session.airbundle(
        "sign", "stick", "--key", "third.key", "--passphrase-file", "passphrase", "--json"
    )
    session.files("stick")
    session.airbundle("verify", "stick", "--key", "third.pub", "--json")
    session.write("wrong", "wrong\n")
    session.airbundle("sign", "stick", "--key", "third.key", "--passphrase-file", "wrong")
    session.airbundle("sign", "stick", "--key", "first.pub")


def attest(session: Session) -> None:
    """Attest images that come from a registry and from a layout; verify one, also without a key."""
    registry = session.registry()
    samples.push_images(registry)
    samples.write_layout(session.directory)
    session.write(
        "ward.yaml", f"attest: true\nimages:\n- oci:./layout:web:1\n- {registry.host}/team/tool:2\n"
    )
    plain = ("--tls-verify=false", "--sign-key", "first.key")
    session.airbundle("export", "ward.yaml", "stick", *plain)
    session.airbundle("export", "ward.yaml", "stick", *plain, "--json")
    for name in ("localhost/web:1", f"{registry.host}/team/tool:2"):
        image = f"oci:stick:{name}"
        session.airbundle("verify-attestation", image, "--key", "first.pub")
        session.airbundle("verify-attestation", image, "--key", "first.pub", "--json")
    session.airbundle("verify-attestation", image, "--key", "second.pub")
    session.airbundle("verify-attestation", image)
    session.airbundle("verify-attestation", "oci:layout:tool:2", "--key", "first.pub")


def keygen(session: Session) -> None:
    """Create key pairs of both types; existing files are kept."""
    session.airbundle("keygen", "plant", "--passphrase-file", "passphrase", "--json")
    session.airbundle("keygen", "plain", "--no-passphrase", "--type", "ed25519")
    for name in ("plant.key", "plant.pub", "plain.key", "plain.pub"):
        session.files(name)
    session.airbundle("keygen", "plain", "--no-passphrase")


def _write_ward(session: Session) -> None:
    samples.write_layout(session.directory)
    session.write("ward.yaml", WARD)


def _export_to_stick(session: Session) -> None:
    _write_ward(session)
    session.airbundle("export", "ward.yaml", "stick", "--sign-key", "first.key")


def _write_team_manifest(session: Session, registry: FakeRegistry) -> None:
    session.write(
        "team.yaml",
        "name: team\n"
        f"registries: {{'{registry.host}': {{tls: {{plainHttp: true}}}}}}\n"
        "defaults: {platforms: [linux/amd64]}\n"
        "images:\n"
        f"  - {registry.host}/team/web:1\n"
        f"  - {{repo: {registry.host}/team/web, select: {{semver: '>=1.1 <3'}}, referrers: none}}\n"
        f"  - {{ref: '{registry.host}/team/tool:2', platforms: all}}\n"
        f"  - {registry.host}/team/db@{samples.DOCKER.digest}\n"
        f"  - {{ref: '{registry.host}/team/chart:4', rename: charts/example}}\n",
    )

"""Programs of a site that check layers, run with real programs."""

from __future__ import annotations

import json
import shutil

import pytest

from bundler.bundle.audit.rules import run_programs
from bundler.errors import IntegrityError, InvalidBundleManifestError
from tests.fakes import bundles, images, tars

LAYER = tars.layer(tars.member("a.txt", b"EVIL content"))
OTHER = tars.layer(tars.member("b.txt", b"good content"))
RULE = "artifact-types: error"


@pytest.fixture
def run(audit):
    """Audit an image with a program, ``sh -c SCRIPT``."""

    def audit_with(script, image=None, settings="", **options):
        arguments = json.dumps(["/bin/sh", "-c", script])
        programs = f"{{scan: {{program: {arguments}, {settings}}}}}"
        return audit(RULE, image or images.image(LAYER), programs=programs, **options)

    return audit_with


def list_codes(verdict):
    return [finding.code for finding in verdict.findings]


def test_program_reads_the_uncompressed_layer(run, tmp_path):
    assert not run(f"cat > {tmp_path}/layer").findings
    assert images.sha256((tmp_path / "layer").read_bytes()) == LAYER.diff_id


@pytest.mark.parametrize(
    ("script", "settings", "expected"),
    [
        ("! grep -a -q EVIL", "", [("program:scan", "error")]),
        ("! grep -a -q WORM", "", []),
        ("exit 1", "severity: note", [("program:scan", "note")]),
        ("exit 3", "statuses: {3: warning}", [("program:scan", "warning")]),
        ("exit 1", "statuses: {3: warning}", [("program:scan-unchecked", "error")]),
        ("exit 2", "", [("program:scan-unchecked", "error")]),
        ("kill -9 $$", "", [("program:scan-unchecked", "error")]),
        ("sleep 30", "timeout: 1", [("program:scan-unchecked", "error")]),
        ("exec >&- 2>&-; cat >/dev/null; exit 1", "", [("program:scan", "error")]),
        ("exit 0", "", []),
    ],
)
def test_exit_status_decides(run, script, settings, expected):
    found = run(script, settings=settings).findings
    assert [(item.code, item.severity) for item in found] == expected


def test_output_is_the_text_of_the_finding(run):
    (finding,) = run("echo; echo 'stdin: Worm FOUND'; exit 1").findings
    assert finding.text == f"layer {LAYER.blob.digest[:19]}: stdin: Worm FOUND"
    assert finding.place.layer == LAYER.blob.digest
    (finding,) = run("echo 'no database' >&2; exit 2").findings
    assert finding.text.endswith("no database (status 2)")


def test_too_much_output_is_never_a_pass(run, monkeypatch):
    monkeypatch.setattr(run_programs, "MAX_OUTPUT", 1000)
    assert list_codes(run("cat /dev/zero")) == ["program:scan-unchecked"]


def test_program_that_does_not_exist_is_never_a_pass(audit):
    verdict = audit(RULE, images.image(LAYER), programs="{scan: {program: [/nonexistent]}}")
    assert list_codes(verdict) == ["program:scan-unchecked"]


def test_environment_has_facts_and_no_secrets(run, tmp_path, monkeypatch):
    monkeypatch.setenv("REGISTRY_TOKEN", "x1y2")
    assert not run(f"cat >/dev/null; env > {tmp_path}/env").findings
    lines = (tmp_path / "env").read_text().splitlines()
    assert not any("x1y2" in line for line in lines)
    assert "AIRBUNDLE_IMAGE=docker.io/library/app:1" in lines
    assert "AIRBUNDLE_PLATFORM=linux/amd64" in lines
    assert f"AIRBUNDLE_LAYER={LAYER.blob.digest}" in lines


def test_layer_of_several_images_is_given_once(run, tmp_path):
    named = {"quay.io/a:1": images.image(LAYER), "quay.io/b:1": images.image(LAYER, OTHER)}
    verdict = run(f"echo x >> {tmp_path}/runs; ! grep -a -q EVIL", named)
    assert [item.place.image for item in verdict.findings] == list(named)
    assert (tmp_path / "runs").read_text().count("x") == 2


def test_images_are_selected(run, tmp_path):
    named = {"quay.io/a:1": images.image(LAYER), "quay.io/b:1": images.image(OTHER)}
    assert not run(
        f"cat >> {tmp_path}/seen; exit 0", named, settings="images: [quay.io/b]"
    ).findings
    assert b"EVIL" not in (tmp_path / "seen").read_bytes()


def test_layer_that_cannot_be_read_is_never_a_pass(run):
    layer = images.Layer(images.Blob("application/octet-stream", b"\x00" * 7), images.sha256(b""))
    assert list_codes(run("cat >/dev/null", images.image(layer))) == ["program:scan-unchecked"]


def test_damaged_layer_ends_the_audit_even_if_the_program_ignores_it(run, tmp_path):
    bundle = bundles.write(tmp_path / "b", {"docker.io/library/app:1": images.image(LAYER)})
    blob = bundle / "blobs" / LAYER.blob.digest.replace(":", "/")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        run("exit 0", location=str(bundle))


def test_waiver_accepts_the_finding_of_one_program(run):
    waivers = "waivers: [{code: 'program:%s', reason: r, author: me, expires: 2999-01-01}]"
    assert not run("exit 1", waivers=waivers % "scan").findings
    assert list_codes(run("exit 1", waivers=waivers % "other")) == [
        "waiver-unused",
        "program:scan",
    ]
    assert list_codes(run("exit 2", waivers=waivers % "scan"))[-1] == "program:scan-unchecked"


@pytest.mark.parametrize(
    "program",
    [
        "{program: [clamscan]}",
        "{program: []}",
        "{program: /bin/true}",
        "{program: [/bin/true], statuses: {0: error}}",
        "{program: [/bin/true], statuses: {256: error}}",
        "{program: [/bin/true], timeout: 0}",
        "{program: [/bin/true], shell: true}",
    ],
)
def test_invalid_program_has_its_position(load_rules, program):
    with pytest.raises(InvalidBundleManifestError) as caught:
        load_rules(f"rules: {{{RULE}}}\nprograms: {{scan: {program}}}")
    assert "gate.yaml:2:" in caught.value.findings[0]


@pytest.mark.interop
def test_clamscan_finds_a_signature_of_its_own_database(audit, tmp_path):
    database = tmp_path / "own.ndb"
    database.write_text("Own.Worm:0:*:" + b"EVIL content".hex() + "\n")
    scan = json.dumps([shutil.which("clamscan"), "--no-summary", f"--database={database}", "-"])
    programs = f"{{clamav: {{program: {scan}}}}}"
    (finding,) = audit(RULE, images.image(LAYER, OTHER), programs=programs).findings
    assert (finding.code, finding.place.layer) == ("program:clamav", LAYER.blob.digest)
    assert "Own.Worm" in finding.text

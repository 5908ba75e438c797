"""The rules about files and packages, applied to the layers of images."""

from __future__ import annotations

import tarfile
from dataclasses import replace

import pytest

from bundler.bundle.audit.layers import layer_reader, noted_files
from bundler.bundle.audit.rules.evaluate import evaluate
from bundler.errors import InvalidBundleManifestError
from tests.fakes import images, tars

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n"
APK = "lib/apk/db/installed"
PACKAGES = b"P:one\nV:1.0-r0\nL:MIT\n\nP:two\nV:2\nL:AGPL-3.0-only\n\nP:three\nV:3\n"


def layers(*content):
    return images.image(*(tars.layer(*members) for members in content))


def list_paths(verdict):
    return [finding.place.path for finding in verdict.findings]


def list_codes(verdict):
    return [finding.code for finding in verdict.findings]


SETUID = tars.member("usr/bin/su", b"x", mode=0o4755)


@pytest.mark.parametrize(
    ("rule", "members", "paths"),
    [
        ("no-set-uid-files: error", [SETUID], ["usr/bin/su"]),
        ("no-set-uid-files: {allow: [/usr/bin/su]}", [SETUID], []),
        ("no-set-uid-files: error", [tars.member("a", mode=0o2755)], ["a"]),
        ("no-set-uid-files: error", [tars.directory("mail", mode=0o2775)], []),
        ("no-world-writable-files: error", [tars.member("a", b"x", mode=0o666)], ["a"]),
        ("no-world-writable-files: error", [tars.directory("tmp", mode=0o1777)], []),
        ("no-world-writable-files: error", [tars.directory("tmp", mode=0o777)], ["tmp"]),
        ("no-world-writable-files: error", [tars.symlink("a", "b", mode=0o777)], []),
        ("no-secret-files: error", [tars.member(".ssh/id_rsa", b"x")], [".ssh/id_rsa"]),
        ("no-secret-files: error", [tars.member("root/.ssh/id_ed25519.pub", b"x")], []),
        ("no-secret-files: error", [tars.member(".aws/credentials", b"x")], [".aws/credentials"]),
        ("no-secret-files: error", [tars.member(".aws/credentials")], []),
        ("no-secret-files: error", [tars.member("a", KEY)], ["a"]),
        ("no-secret-files: error", [tars.member("a", b"Bag Attributes\n" + KEY)], ["a"]),
        ("no-secret-files: error", [tars.member("a.html", b"see -----BEGIN PRIVATE KEY-----")], []),
    ],
)  # fmt: skip
def test_files_are_found(audit, rule, members, paths):
    assert list_paths(audit(rule, layers(members))) == paths


def test_file_of_the_lower_layer_counts_until_it_is_replaced(audit):
    for upper in (tars.member("usr/bin/.wh.su"), tars.member("usr/bin/su", b"y", mode=0o755)):
        assert not audit("no-set-uid-files: error", layers([SETUID], [upper])).findings


@pytest.mark.parametrize("same_layer", [True, False])
def test_hard_link_keeps_the_bit_of_its_removed_target(audit, same_layer):
    link = tars.hard_link("b", "usr/bin/su")
    removal = [tars.member("usr/bin/.wh.su")]
    content = [[SETUID, link], removal] if same_layer else [[SETUID], [link], removal]
    assert list_paths(audit("no-set-uid-files: error", layers(*content))) == ["b"]


def test_removed_secret_is_still_stored(audit):
    lower, upper = [tars.member("key", KEY)], [tars.member(".wh.key")]
    (finding,) = audit("no-secret-files: error", layers(lower, upper)).findings
    assert finding.place.path == "key"
    assert "removed" in finding.text


def test_layers_that_were_not_read_never_pass(audit):
    verdict = audit("no-set-uid-files: error", layers([]))
    assert not verdict.findings
    (image,) = verdict.audited.images
    unread = tuple(replace(platform, contents=None) for platform in image.platforms)
    audited = replace(verdict.audited, images=(replace(image, platforms=unread),))
    assert list_codes(evaluate(verdict.rules, audited)) == ["no-set-uid-files-unchecked"]


def test_last_member_at_a_path_counts(audit):
    members = [SETUID, tars.member("usr/bin/su", b"x", mode=0o755)]
    assert not audit("no-set-uid-files: error", layers(members)).findings


def test_key_is_found_at_the_border_of_a_chunk():
    chunks = iter([memoryview(KEY[:10]), memoryview(KEY[10:])])
    head, content = noted_files._peek(chunks, len(KEY))
    assert (head, b"".join(content)) == (KEY, KEY)


def test_too_many_files_are_a_finding(audit, monkeypatch):
    monkeypatch.setattr(noted_files, "MAX_NOTED", 2)
    members = [tars.member(f"f{number}", mode=0o4755) for number in range(4)]
    codes = list_codes(audit("no-set-uid-files: error", layers(members)))
    assert codes == ["no-set-uid-files"] * 2 + ["no-set-uid-files-unchecked"]


def test_layer_with_another_diff_id_is_found(audit):
    good = tars.layer(SETUID)
    bad = images.Layer(good.blob, images.sha256(b"other"))
    assert not audit("layers-match-config: error", images.image(good)).findings
    codes = list_codes(audit("layers-match-config: error", images.image(bad)))
    assert codes == ["layers-match-config"]


def test_forbidden_package_is_found(audit):
    verdict = audit(
        "forbidden-packages: {packages: ['^pkg:apk/.*/two@2$']}",
        layers([tars.member(APK, PACKAGES)]),
    )
    (finding,) = verdict.findings
    assert (finding.place.package, finding.place.path) == ("two", APK)


def test_forbidden_licence_is_found(audit):
    verdict = audit(
        "forbidden-licenses: {licenses: ['(?i)agpl']}", layers([tars.member(APK, PACKAGES)])
    )
    assert {(item.code, item.place.package) for item in verdict.findings} == {
        ("forbidden-licenses", "two"),
        ("forbidden-licenses-unchecked", "three"),
    }


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ("MIT", None),
        ("mit", None),
        ("AGPL-3.0-only OR MIT", None),
        ("(AGPL-3.0-only OR MIT) AND ISC", None),
        ("GPL-2.0-only WITH Classpath-exception-2.0", None),
        ("custom:ours", None),
        ("AGPL-3.0-only", "allowed-licenses"),
        ("MIT AND AGPL-3.0-only", "allowed-licenses"),
        ("GPL-2.0-only", "allowed-licenses"),
        ("public domain", "allowed-licenses-unchecked"),
        ("MIT OR", "allowed-licenses-unchecked"),
        ("(" * 1000 + "MIT", "allowed-licenses-unchecked"),
        (" OR ".join(["MIT"] * 900), "allowed-licenses-unchecked"),
        ("", "allowed-licenses-unchecked"),
    ],
)  # fmt: skip
def test_licences_are_compared_as_spdx_expressions(audit, stated, code):
    allow = "[MIT, ISC, GPL-2.0-only WITH Classpath-exception-2.0]"
    database = f"P:one\nV:1.0-r0\nL:{stated}\n".encode()
    rule = f"allowed-licenses: {{allow: {allow}, accept: ['custom:ours']}}"
    verdict = audit(rule, layers([tars.member(APK, database)]))
    assert list_codes(verdict) == ([code] if code else [])


@pytest.mark.parametrize(
    ("stated", "passes"),
    [
        ("Expat", True),
        ("GPL-2+", True),
        ("GPL-2", False),
        ("GPL-2+ or Artistic", True),
        ("Apache-2", True),
        ("Apache-2.0 and GPL-2", False),
    ],
)
def test_short_names_of_debian_are_licences(audit, stated, passes):
    copyright_file = f"Format: x\n\nFiles: *\nLicense: {stated}\n".encode()
    image = layers(
        [
            tars.member("var/lib/dpkg/status", b"Package: one\nVersion: 1\n"),
            tars.member("usr/share/doc/one/copyright", copyright_file),
        ]
    )
    verdict = audit("allowed-licenses: {allow: [MIT, GPL-2.0-or-later, Apache-2.0]}", image)
    assert list_codes(verdict) == ([] if passes else ["allowed-licenses"])


@pytest.mark.parametrize("licence", ["GLP-2.0", "MIT OR ISC"])
def test_licence_that_is_not_in_the_list_of_spdx_has_its_position(load_rules, licence):
    with pytest.raises(InvalidBundleManifestError) as caught:
        load_rules(f"rules: {{allowed-licenses: {{allow: [MIT, {licence}]}}}}")
    assert "gate.yaml:1:41" in caught.value.findings[0]


def test_unreadable_database_leaves_the_rule_unchecked(audit):
    verdict = audit("forbidden-packages: {packages: [x]}", layers([tars.member(APK, b"garbage")]))
    (finding,) = verdict.findings
    assert (finding.code, finding.place.path) == ("forbidden-packages-unchecked", APK)


@pytest.mark.parametrize(
    "layer",
    [
        images.Layer(images.Blob("application/octet-stream", b"\x00" * 7), images.sha256(b"")),
        tars.layer(tars.member("x", kind=tarfile.CONTTYPE), tars.member("../" * 2000 + "x")),
    ],
)
def test_layer_that_cannot_be_listed_leaves_the_rule_unchecked(audit, layer):
    verdict = audit("no-set-uid-files: error", images.image(layer))
    assert list_codes(verdict) == ["no-set-uid-files-unchecked"]


def test_layer_of_several_images_is_read_once(audit, monkeypatch):
    read = []
    original = layer_reader.read_layer
    monkeypatch.setattr(
        layer_reader, "read_layer", lambda *args: read.append(args[1].digest) or original(*args)
    )
    shared = tars.layer(SETUID)
    named = {
        f"quay.io/{name}:1": images.image(shared, tars.layer(tars.member(name))) for name in "ab"
    }
    verdict = audit("no-set-uid-files: error\n  no-secret-files: error", named)
    assert len(verdict.findings) == 2
    assert len(read) == len(set(read)) == 3


def test_invalid_expression_has_its_position(load_rules):
    with pytest.raises(InvalidBundleManifestError) as caught:
        load_rules("rules: {forbidden-packages: {packages: ['(']}}")
    assert "gate.yaml:1:41" in caught.value.findings[0]

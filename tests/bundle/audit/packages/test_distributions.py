"""Packages of distributions: dpkg, apk, and the distribution itself."""

from __future__ import annotations

import pytest

from bundler.bundle.audit.packages import layer_packages
from bundler.errors import LimitError
from tests.fakes import tars

DPKG = """\
Package: libssl3
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: openssl (3.0.11-1)
Version: 1:3.0.11-1~deb12u2
Description: shared libraries
 The text goes on: here.
 .
 And here.

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: zlib1g
Status: install ok unpacked
Architecture: amd64
Version: 1:1.2.13
"""
APK = """\
C:Q1abc=
P:musl
V:1.2.4-r2
A:x86_64
S:383000
L:MIT
o:musl-source
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1def=

P:busybox
V:1.36.1-r5
A:x86_64
L:GPL-2.0-only
"""


def test_dpkg_packages_whose_files_are_installed_are_found(read_files):
    found = read_files(
        {"var/lib/dpkg/status": DPKG, "etc/os-release": 'ID=debian\nVERSION_ID="12"'}
    )
    assert [
        (item.name, item.version, item.source_name, item.source_version) for item in found.packages
    ] == [
        ("libssl3", "1:3.0.11-1~deb12u2", "openssl", "3.0.11-1"),
        ("zlib1g", "1:1.2.13", "zlib1g", "1:1.2.13"),
    ]
    assert found.packages[0].purl == "pkg:deb/debian/libssl3@1:3.0.11-1~deb12u2?arch=amd64"
    assert (found.distribution.id, found.distribution.version) == ("debian", "12")


def test_packages_of_distroless_are_found(read_files):
    text = "Package: tzdata\nVersion: 2024a\nArchitecture: all\n"
    found = read_files(
        {
            "var/lib/dpkg/status.d/tzdata": text,
            "var/lib/dpkg/status.d/tzdata.md5sums": "d41d8 usr/share/zoneinfo/UTC",
        }
    )
    assert [(item.name, item.version) for item in found.packages] == [("tzdata", "2024a")]
    assert found.findings == ()


def test_namespace_is_the_distribution(read_files):
    found = read_files({"var/lib/dpkg/status": DPKG, "usr/lib/os-release": "ID=ubuntu\n"})
    assert {item.namespace for item in found.packages} == {"ubuntu"}


@pytest.mark.parametrize(
    ("copyright_file", "licenses"),
    [
        (
            "Format: https://x/1.0/\n\nFiles: *\nLicense: Zlib\n text\n\nLicense: GPL-2+\n",
            ("GPL-2+", "Zlib"),
        ),
        ("See /usr/share/common-licenses/LGPL-2.1.\n", ("LGPL-2.1",)),
        ("free\n", ()),
    ],
)
def test_licenses_of_debian_are_those_of_the_copyright_file(read_files, copyright_file, licenses):
    found = read_files(
        {"var/lib/dpkg/status": DPKG, "usr/share/doc/zlib1g/copyright": copyright_file}
    )
    assert found.packages[1].licenses == licenses


@pytest.mark.parametrize("path", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_apk_packages_are_found(read_files, path):
    found = read_files({path: APK})
    assert [(item.name, item.version, item.licenses) for item in found.packages] == [
        ("busybox", "1.36.1-r5", ("GPL-2.0-only",)),
        ("musl", "1.2.4-r2", ("MIT",)),
    ]
    assert found.packages[1].source_name == "musl-source"
    assert found.packages[1].purl == "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("var/lib/dpkg/status", b"\0garbage\xff" * 100),
        ("var/lib/dpkg/status", b"Package: a\n\n"),
        ("var/lib/dpkg/status", b"Package: a\nVersion: 1\nSource: a b\n"),
        ("var/lib/dpkg/status", b"Package: " + b"a" * 5000 + b"\nVersion: 1\n"),
        ("lib/apk/db/installed", b"garbage"),
        ("lib/apk/db/installed", b"P:a\n\n"),
    ],
)
def test_garbage_is_a_finding(read_files, path, data):
    found = read_files({path: data})
    assert [(item.code, item.path) for item in found.findings] == [("package-file-malformed", path)]


@pytest.mark.parametrize("path", ["var/lib/dpkg/status", "lib/apk/db/installed"])
def test_database_that_is_too_large_is_a_finding(read_files, path):
    found = read_files({path: bytes(25 * 1024 * 1024)})
    assert [(item.code, item.path) for item in found.findings] == [("package-file-too-large", path)]


def test_packages_that_exceed_the_memory_are_a_finding(read_files, monkeypatch):
    monkeypatch.setattr(layer_packages, "MAX_MEMORY", 40_000)
    found = read_files({"lib/apk/db/installed": "P:a\nV:1\n\n" * 1000})
    assert [item.code for item in found.findings] == ["package-file-too-large"]
    assert 0 < len(found.packages) < 1000


@pytest.mark.parametrize("kind", ["unreadable", "hard links", "programs"])
def test_files_that_state_packages_are_limited(read_layers, monkeypatch, kind):
    monkeypatch.setattr(layer_packages, "MAX_MEMORY", 40_000)
    name = "a" if kind == "programs" else "package.json"
    paths = [f"opt/{number}/node_modules/a/{name}" for number in range(100)]
    members = {
        "unreadable": [tars.member(path, b"garbage") for path in paths],
        "hard links": [tars.hard_link(path, f"store/{path}") for path in paths],
        "programs": [tars.member(path, b"\x7fELF.dep-v0\0") for path in paths],
    }[kind]
    with pytest.raises(LimitError):
        read_layers(tars.layer(*members))

"""Packages of programming languages that have files of their own: Python, npm, Ruby."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

METADATA = """\
Metadata-Version: 2.1
Name: Zope.Interface
Version: 6.0
License: UNKNOWN
Classifier: License :: OSI Approved
Classifier: License :: OSI Approved :: Zope Public License

Name: not a header
"""
GEMSPEC = """\
# -*- encoding: utf-8 -*-
Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.15.4"
  s.platform = "x86_64-linux".freeze
  s.licenses = ["MIT".freeze, "Apache-2.0"]
end
"""


@pytest.mark.parametrize(
    "path",
    [
        "usr/lib/python3/dist-packages/zope.interface-6.0.dist-info/METADATA",
        "app/zope.interface.egg-info/PKG-INFO",
        "app/zope.interface-6.0-py3.11.egg-info",
        "app/zope.interface-6.0-py3.11.egg/EGG-INFO/PKG-INFO",
    ],
)
def test_python_package_is_found(read_files, path):
    (package,) = read_files({path: METADATA}).packages
    assert package.purl == "pkg:pypi/zope-interface@6.0"
    assert (package.path, package.licenses) == (path, ("Zope Public License",))


def test_python_package_in_a_zipped_egg_is_found(read_files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("EGG-INFO/PKG-INFO", METADATA)
    path = "app/zope.interface-6.0-py3.11.egg"
    (package,) = read_files({path: buffer.getvalue()}).packages
    assert (package.name, package.version, package.path) == ("zope-interface", "6.0", path)


def test_npm_packages_are_found_at_any_depth(read_files):
    def describe(name: str, **more: object) -> str:
        return json.dumps({"name": name, "version": "1.0.0", **more})

    found = read_files(
        {
            "app/package.json": describe("app"),
            "app/node_modules/@scope/a/package.json": describe("@scope/a", license="MIT"),
            "app/node_modules/b/package.json": describe("b", licenses=[{"type": "ISC"}, 3]),
            "app/node_modules/b/node_modules/c/package.json": describe("c", license={"type": "X"}),
            "app/node_modules/b/esm/package.json": describe("inner"),
            "app/node_modules/d/package.json": "{}",
            "app/template/package.json": "{{ name }}",
        }
    )
    assert [(item.full_name, item.version, item.licenses) for item in found.packages] == [
        ("app", "1.0.0", ()),
        ("b", "1.0.0", ("ISC",)),
        ("c", "1.0.0", ("X",)),
        ("d", "", ()),
        ("@scope/a", "1.0.0", ("MIT",)),
    ]
    assert found.packages[-1].purl == "pkg:npm/%40scope/a@1.0.0"
    assert found.findings == ()


def test_ruby_gem_is_found(read_files):
    path = "usr/lib/ruby/gems/3.1.0/specifications/nokogiri-1.15.4-x86_64-linux.gemspec"
    (package,) = read_files({path: GEMSPEC}).packages
    assert (package.name, package.version) == ("nokogiri", "1.15.4")
    assert (package.architecture, package.licenses) == ("x86_64-linux", ("MIT", "Apache-2.0"))


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a-1.dist-info/METADATA", b"\0\xff"),
        ("a-1.dist-info/METADATA", b"Name: a\n\nVersion: 1\n"),
        ("node_modules/a/package.json", b"{"),
        ("node_modules/a/package.json", b"[" * 100_000),
        ("specifications/a.gemspec", b"s.name = File.read('x')\ns.version = V\n"),
    ],
)
def test_garbage_is_a_finding(read_files, path, data):
    found = read_files({path: data})
    assert [(item.code, item.path) for item in found.findings] == [("package-file-malformed", path)]
    assert found.packages == ()


def test_value_of_another_type_is_ignored(read_files):
    (package,) = read_files({"node_modules/a/package.json": '{"name": 1, "version": []}'}).packages
    assert (package.name, package.version) == ("a", "")

"""Packages in Java archives."""

from __future__ import annotations

import io
import zipfile

import pytest

from bundler.bundle.audit.packages.ecosystems import java, zip_files

GUAVA = {
    "META-INF/maven/com.google.guava/guava/pom.properties": (
        "#Created\r\ngroupId=com.google.guava\r\nartifactId=guava\r\nversion=31.1-jre\r\n"
    ),
    "META-INF/MANIFEST.MF": "Bundle-License: https://www.apache.org/li\r\n censes/LICENSE-2.0\r\n",
}


def jar(files: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def test_artifact_of_maven_is_found(read_files):
    (package,) = read_files({"app/guava.jar": jar(GUAVA)}).packages
    assert package.purl == "pkg:maven/com.google.guava/guava@31.1-jre"
    assert package.licenses == ("https://www.apache.org/licenses/LICENSE-2.0",)


@pytest.mark.parametrize(
    ("name", "manifest", "expected"),
    [
        ("commons-io-2.11.0.jar", "", ("", "commons-io", "2.11.0")),
        ("x.jar", "Implementation-Title: x\nImplementation-Version: 1.2", ("", "x", "1.2")),
        (
            "asm-9.4.jar",
            "Bundle-SymbolicName: org.objectweb.asm;singleton:=true\nBundle-Version: 9.4.0",
            ("", "asm", "9.4"),
        ),
    ],
)
def test_artifact_without_maven_is_named_by_file_and_manifest(read_files, name, manifest, expected):
    data = jar({"META-INF/MANIFEST.MF": f"Manifest-Version: 1.0\n{manifest}\n"})
    (package,) = read_files({f"lib/{name}": data}).packages
    assert (package.namespace, package.name, package.version) == expected


def test_archive_with_copies_of_others_is_named_by_its_file(read_files):
    other = "groupId=x\nartifactId=copied\nversion=1\n"
    data = jar(GUAVA | {"META-INF/maven/x/copied/pom.properties": other})
    found = read_files({"lib/all-in-one-2.0.jar": data})
    assert [item.name for item in found.packages] == ["all-in-one", "guava", "copied"]


def test_archives_inside_of_archives_are_read(read_files):
    war = jar({"WEB-INF/lib/guava.jar": jar(GUAVA), "WEB-INF/a.txt": "a"}, zipfile.ZIP_STORED)
    (package,) = read_files({"app.ear": jar({"web.war": war})}).packages
    assert package.path == "app.ear!/web.war!/WEB-INF/lib/guava.jar"


def nest(depth: int) -> bytes:
    data = jar(GUAVA)
    for _ in range(depth):
        data = jar({"a.jar": data})
    return data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"garbage", "package-file-malformed"),
        (jar(GUAVA)[:-30], "package-file-malformed"),
        (jar(GUAVA)[:30] + b"x" * 60 + jar(GUAVA)[90:], "package-file-malformed"),
        (nest(5), "package-file-malformed"),
        (jar(GUAVA, zipfile.ZIP_LZMA), "package-file-unsupported"),
        (jar({"META-INF/MANIFEST.MF": bytes(300_000)}), "package-file-too-large"),
    ],
    ids=["garbage", "truncated", "damaged", "deep", "lzma", "large"],
)
def test_archive_that_cannot_be_read_is_a_finding(read_files, data, code):
    found = read_files({"a.jar": data})
    assert [item.code for item in found.findings] == [code]


def test_bomb_is_a_finding(read_files, monkeypatch):
    monkeypatch.setattr(java, "MAX_NESTED", 1024 * 1024)
    found = read_files({"a.jar": jar({"b.jar": bytes(2 * 1024 * 1024)})})
    assert [item.code for item in found.findings] == ["package-file-too-large"]


def test_texts_of_an_archive_are_limited(read_files, monkeypatch):
    monkeypatch.setattr(java, "MAX_TEXTS", 10_000)
    properties = {
        f"META-INF/maven/g/a{number}/pom.properties": "artifactId=" + "a" * 4000
        for number in range(4)
    }
    found = read_files({"a.jar": jar(properties)})
    assert [item.code for item in found.findings] == ["package-file-too-large"]


def test_list_of_files_is_limited(read_files, monkeypatch):
    monkeypatch.setattr(zip_files, "_END", 1000)
    monkeypatch.setattr(java, "MAX_DIRECTORY", 60_000)
    data = jar({f"file{number:04}": "" for number in range(1000)})
    assert read_files({"a.jar": data}).findings == ()
    found = read_files({"a.jar": jar({"b.jar": data, "x" * 2000: ""} | GUAVA)})
    assert found.findings == ()
    many = {f"other{number:04}": "" for number in range(200)}
    found = read_files({"a.jar": jar({"b.jar": data} | many)})
    assert [item.code for item in found.findings] == ["package-file-too-large"]

"""Encode the contents of a layer as bytes: to pass them between processes, and to keep them.

The texts are JSON, the hashes of paths follow in binary form, and the SHA-256 of both precedes
them. The form is private to one version of the program on one machine.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast, get_args

from bundler.bundle.audit.layers.contents import LayerContents
from bundler.bundle.audit.layers.noted_files import LayerFiles, Mark, NotedFile
from bundler.bundle.audit.packages.package import (
    Distribution,
    DocumentedLicenses,
    Evidence,
    FindingCode,
    LayerPackages,
    Package,
    PackageFinding,
    PackageType,
)
from bundler.bundle.audit.packages.path_changes import PathChanges
from bundler.errors import MalformedError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.package import Statement

MAX_SIZE = 192 * 1024 * 1024
"""The maximum size of encoded contents in bytes."""
_CHECKSUM = 32
_TEXTS = (
    *("type", "name", "version", "path", "namespace"),
    *("architecture", "source_name", "source_version"),
)
_TYPES, _CODES = frozenset(get_args(PackageType)), frozenset(get_args(FindingCode))
_MARKS = frozenset(get_args(Mark))


def encode(contents: LayerContents) -> bytes:
    """Encode the contents of a layer."""
    packages, files = contents.packages, contents.files
    value = {
        "digest": packages.digest.text,
        "diffId": packages.diff_id.text,
        "evidence": [[item.paths, list(_encode(item.statements))] for item in packages.evidence],
        "findings": [[item.code, item.path, item.problem] for item in packages.findings],
        "files": [[item.path, item.mode, item.marks] for item in files.files],
        "links": files.links,
        "isTruncated": files.is_truncated,
    }
    text = json.dumps(value, separators=(",", ":")).encode()
    body = b"%d\n%s%s" % (len(text), text, packages.changes.to_bytes())
    return hashlib.sha256(body).digest() + body


def decode(data: bytes, layer: Digest) -> LayerContents:
    """Decode what ``encode`` returned for the layer with this digest.

    Raises:
        MalformedError: it was changed, has another form, or is about another layer.
    """
    problem = f"layer {layer}: malformed contents"
    body = memoryview(data)[_CHECKSUM:]
    if hashlib.sha256(body).digest() != data[:_CHECKSUM]:
        raise MalformedError(problem)
    try:
        length, _, _ = bytes(body[:20]).partition(b"\n")
        start = len(length) + 1
        end = start + int(length)
        value = json.loads(bytes(body[start:end]))
        _choice(value["digest"], frozenset([layer.text]))
        packages = LayerPackages(
            digest=layer,
            diff_id=Digest(value["diffId"]),
            evidence=tuple(
                Evidence([_text(path), *_texts(links)], tuple(_decode(items, layer)))
                for (path, *links), items in value["evidence"]
            ),
            changes=PathChanges.from_bytes(f"layer {layer}", body[end:]),
            findings=tuple(
                PackageFinding(_choice(code, _CODES), _text(path), layer, _text(text))
                for code, path, text in value["findings"]
            ),
        )
        files = LayerFiles(
            files=tuple(
                NotedFile(_text(path), layer, _mode(mode), tuple(_choice(m, _MARKS) for m in marks))
                for path, mode, marks in value["files"]
            ),
            links=tuple((_text(path), _text(target)) for path, target in value["links"]),
            is_truncated=value["isTruncated"] is True,
        )
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise MalformedError(problem) from error
    return LayerContents(packages, files)


def _encode(statements: tuple[Statement, ...]) -> Iterator[list[Any]]:
    for item in statements:
        match item:
            case Package():
                yield ["package", [getattr(item, name) for name in _TEXTS], item.licenses]
            case DocumentedLicenses():
                yield ["licenses", item.name, item.licenses]
            case Distribution():
                yield ["distribution", item.id, item.version, item.name]


def _decode(statements: list[Any], layer: Digest) -> Iterator[Statement]:
    for kind, *values in statements:
        if kind == "package":
            texts, licenses = values
            named = dict(zip(_TEXTS, _texts(texts), strict=True))
            _choice(named["type"], _TYPES)
            yield Package(layer=layer, licenses=_texts(licenses), **cast("Any", named))
        elif kind == "licenses":
            name, licenses = values
            yield DocumentedLicenses(_text(name), _texts(licenses))
        elif kind == "distribution":
            yield Distribution(*_texts(values))
        else:
            raise ValueError(kind)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(map(_text, values))


def _mode(value: object) -> int:
    if type(value) is not int or not 0 <= value <= 0o7777:
        raise ValueError
    return value


def _choice(value: object, choices: frozenset[str]) -> Any:  # noqa: ANN401 - one of the literals
    if value not in choices:
        raise ValueError
    return value

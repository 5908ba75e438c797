"""The bundle manifest: a YAML file that says what a bundle is to hold.

In its place, and in its ``include``, a file of one reference per line and a ``skopeo sync`` file
are taken as they are. What included files say comes after what the including file says; its
``defaults`` hold for them where they are silent, and its word on a registry goes before theirs.
Every mistake in all of them is found before anything else happens.
"""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bundler.bundle.manifest.entries import ImageOptions, read_images, read_options
from bundler.bundle.manifest.external_lists import (
    is_list,
    is_skopeo_sync,
    read_list,
    read_skopeo_sync,
)
from bundler.bundle.manifest.registry_overrides import read_override
from bundler.bundle.manifest.rename_rules import RenameRule, check_template
from bundler.bundle.manifest.schema_validation import validate
from bundler.config.yaml import document
from bundler.config.yaml.context import YamlContext
from bundler.config.yaml.document import (
    Findings,
    MappingNode,
    Position,
    ScalarNode,
    SequenceNode,
    Value,
    get_member,
)
from bundler.config.yaml.filters import parse_expression, parse_expressions
from bundler.errors import BundlerError, InvalidBundleManifestError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import is_domain, normalize_domain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.manifest.entries import ManifestEntry
    from bundler.config.registry_access import RegistryOverride

MAX_INCLUDE_DEPTH = 8
MAX_FILES = 256

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DURATION = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file that was read, ``path`` relative to the bundle manifest's folder."""

    path: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """What to carry, under which name, and how to reach the registries it comes from."""

    name: str
    """The stream: bundles of one name follow one another."""
    expires: timedelta | None
    """How long a bundle may be imported once it is made; None: for ever."""
    registries: Mapping[str, RegistryOverride]
    """By ``host[:port]``; holds secrets, and never goes into a bundle or a lock."""
    images: tuple[ManifestEntry, ...]
    exclude: tuple[re.Pattern[str], ...]
    """An image goes where one of them is found in its full reference."""
    rename: tuple[RenameRule, ...]
    files: tuple[ManifestFile, ...]
    """This file first, then what it includes."""


def load(path: Path, *, environment: Mapping[str, str]) -> BundleManifest:
    """Read a bundle manifest, or a foreign list, with all that it includes.

    Args:
        path: the file; paths in it are relative to its folder.
        environment: where ``usernameEnv`` and ``passwordEnv`` are looked up.

    Raises:
        InvalidBundleManifestError: with every mistake as ``path:line:column: text``.
        LimitError: the file is too large, too deep, or expands to too much.
        NotFoundError: there is no such file.
    """
    loading = _Loading(path, environment)
    head = loading.read(path, document.read_bytes(path), ImageOptions(), ())
    name = _name(get_member(head, "name"), path, loading.findings)
    loading.findings.raise_if_any()
    if not loading.entries:
        loading.findings.add(Position(str(path), 1, 1), "no image is asked for")
        loading.findings.raise_if_any()
    return BundleManifest(
        name=name,
        expires=_expires(get_member(head, "expires")),
        registries=loading.registries,
        images=tuple(loading.entries),
        exclude=tuple(loading.exclude),
        rename=tuple(loading.rename),
        files=tuple(loading.files),
    )


class _Loading:
    """What the files of one bundle manifest add up to."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.findings = Findings()
        self.registries: dict[str, RegistryOverride] = {}
        self.entries: list[ManifestEntry] = []
        self.exclude: list[re.Pattern[str]] = []
        self.rename: list[RenameRule] = []
        self.files: list[ManifestFile] = []
        self._environment = environment
        self._folder = path.parent

    def read(
        self, path: Path, data: bytes, options: ImageOptions, above: tuple[Path, ...]
    ) -> Value | None:
        """Add what ``path`` says; what it holds, if it is YAML. ``above`` are its includers."""
        shown = os.path.relpath(path, self._folder) if above else path.name
        self.files.append(ManifestFile(shown, Digest.of(data)))
        around = YamlContext(shown, path.parent, self._environment, self.findings)
        text = document.decode(data, str(path))
        if is_list(text):
            self.entries += read_list(text, options, around, str(path))
            return None
        value = document.parse(text, str(path), self.findings)
        if is_skopeo_sync(value):
            sync = read_skopeo_sync(value, options, around)
            self.entries += sync.entries
            self._add_registries(sync.registries)
        else:
            validate(value, "bundle-manifest", self.findings)
            self._add(value, options, around, (*above, path))
        return value

    def _add(
        self, value: Value, options: ImageOptions, around: YamlContext, files: tuple[Path, ...]
    ) -> None:
        options = read_options(get_member(value, "defaults"), options, self.findings)
        self._add_registries(_registries(get_member(value, "registries"), around))
        self.entries += read_images(get_member(value, "images"), options, around)
        self.exclude += parse_expressions(
            get_member(get_member(value, "exclude"), "images"), self.findings
        )
        self.rename += _rename_rules(get_member(value, "rename"), around)
        included = get_member(value, "include")
        for item in included if isinstance(included, SequenceNode) else ():
            name = get_member(item, "path") if isinstance(item, MappingNode) else item
            if isinstance(name, ScalarNode) and not name.is_null:
                self._include(name, around.folder / name, options, files)

    def _include(
        self, name: ScalarNode, path: Path, options: ImageOptions, files: tuple[Path, ...]
    ) -> None:
        if os.path.realpath(path) in [os.path.realpath(file) for file in files]:
            self.findings.add(name.at, f"{path} includes itself")
            return
        if len(files) > MAX_INCLUDE_DEPTH or len(self.files) >= MAX_FILES:
            self.findings.add(
                name.at, f"more than {MAX_INCLUDE_DEPTH} levels or {MAX_FILES} files of includes"
            )
            return
        try:
            self.read(path, document.read_bytes(path), options, files)
        except InvalidBundleManifestError as error:
            self.findings.add(name.at, f"included here: {error.message}")
        except BundlerError as error:
            self.findings.add(name.at, error.message)

    def _add_registries(self, more: Mapping[str, RegistryOverride]) -> None:
        self.registries = {**more, **self.registries}


def _registries(value: Value | None, around: YamlContext) -> dict[str, RegistryOverride]:
    registries = {}
    for host, said in value.items() if isinstance(value, MappingNode) else ():
        if isinstance(value, MappingNode) and not is_domain(host):
            text = f"{host[:80]!r} is not a registry's host[:port]"
            around.findings.add(value.key_at[host], text)
        registries[normalize_domain(host)] = read_override(said, around)
    return registries


def _rename_rules(value: Value | None, around: YamlContext) -> list[RenameRule]:
    rules, findings = [], around.findings
    for item in value if isinstance(value, SequenceNode) else ():
        match, to = parse_expression(get_member(item, "match"), findings), get_member(item, "to")
        if match is None or not isinstance(to, ScalarNode):
            continue
        try:
            check_template(to, match)
        except UsageError as error:
            findings.add(to.at, error.message)
        rules.append(RenameRule(match, str(to), around.format_origin(item.at)))
    return rules


def _name(value: Value | None, path: Path, findings: Findings) -> str:
    if isinstance(value, ScalarNode):
        return str(value)
    if _NAME.fullmatch(path.stem) is None:
        findings.add(
            Position(str(path), 1, 1),
            f"the file's name, {path.stem[:80]!r}, cannot name a bundle; add name: with up to 64"
            " lower-case letters, digits, '.', '_' and '-'",
        )
    return path.stem


def _expires(value: Value | None) -> timedelta | None:
    match = _DURATION.fullmatch(value) if isinstance(value, ScalarNode) else None
    return int(match[1]) * _UNITS[match[2]] if match else None

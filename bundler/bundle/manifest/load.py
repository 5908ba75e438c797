"""Load a bundle manifest: the YAML file in which a user lists the images of a bundle.

A file with one reference per line or a ``skopeo sync`` file can be loaded instead of a manifest, or
be included in one. Entries of included files follow those of the including file. Included files
inherit its ``defaults`` unless they set their own, and its settings for a registry override theirs.
All mistakes in all files are collected before an error is raised.
"""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bundler.bundle.manifest.entries import (
    ImageOptions,
    ManifestEntry,
    read_images,
    read_options,
)
from bundler.bundle.manifest.schema_validation import validate
from bundler.config.yaml import document
from bundler.config.yaml.context import YamlContext, parse_expression, parse_expressions
from bundler.config.yaml.document import (
    MappingNode,
    Position,
    ScalarNode,
    SequenceNode,
    Value,
    YamlMistakes,
    get_member,
    is_true,
)
from bundler.errors import BundlerError, InvalidBundleManifestError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import is_domain, normalize_domain
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.manifest.expand import RenameRule
    from bundler.config.registry_access import RegistryOverride
    from bundler.gocompat.regexp import GoExpression

MAX_INCLUDE_DEPTH = 8
MAX_FILES = 256

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DURATION = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_YAML_LINE = re.compile(r"---|[-?\[{&*!|>'\"%@]|[^#]*:(?:\s|$)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_KEYS = {"name", "expires", "registries", "defaults", "images", "exclude", "rename", "include"}


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file that was read; ``path`` is relative to the directory of the bundle manifest."""

    path: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """The images of a bundle, and the settings for access to their registries."""

    name: str
    """The stream to which the bundles of this manifest belong."""
    expires: timedelta | None
    """Lifetime of a bundle from its creation; None: no limit."""
    attest: bool
    """Attest the origin of the images in the bundle."""
    registries: Mapping[str, RegistryOverride]
    """Settings by ``host[:port]``. They contain secrets, and are never written to a bundle or a
    lock file."""
    images: tuple[ManifestEntry, ...]
    exclude: tuple[GoExpression, ...]
    """An image is excluded if its full name contains a match of one of these patterns."""
    rename: tuple[RenameRule, ...]
    files: tuple[ManifestFile, ...]
    """The bundle manifest, followed by the files it includes."""


def load(path: Path, *, environment: Mapping[str, str]) -> BundleManifest:
    """Read a bundle manifest, or another list of images, with all included files.

    Paths in a file are relative to its directory; ``usernameEnv`` and ``passwordEnv`` refer to
    variables of ``environment``.

    Raises:
        InvalidBundleManifestError: contains every mistake as ``path:line:column: text``.
        LimitError: a file is too large, is nested too deeply, or has too many values.
        NotFoundError: the file does not exist.
    """
    loader = _Loader(path, environment)
    head = loader.read(path, document.read_bytes(path), ImageOptions(), ())
    start = Position(str(path), 1, 1)
    members = head if isinstance(head, MappingNode) else {}
    name = members.get("name")
    if not isinstance(name, ScalarNode) and _NAME.fullmatch(path.stem) is None:
        loader.mistakes.add(
            start,
            f"the file's name, {path.stem[:80]!r}, is not a valid bundle name; add name: with up to"
            " 64 lower-case letters, digits, '.', '_' and '-'",
        )
    loader.mistakes.raise_if_any()
    if not loader.entries:
        loader.mistakes.add(start, "no images")
        loader.mistakes.raise_if_any()
    expires = members.get("expires")
    match = _DURATION.fullmatch(expires) if isinstance(expires, ScalarNode) else None
    return BundleManifest(
        name=str(name) if isinstance(name, ScalarNode) else path.stem,
        expires=int(match[1]) * _UNITS[match[2]] if match else None,
        attest=is_true(members.get("attest")),
        registries=loader.registries,
        images=tuple(loader.entries),
        exclude=tuple(loader.exclude),
        rename=tuple(loader.rename),
        files=tuple(loader.files),
    )


def is_list(text: str) -> bool:
    """Whether ``text`` is a list of references, judged by its first line that is not a comment."""
    for line in text.splitlines():
        if content := _COMMENT.sub("", line).strip():
            return _YAML_LINE.match(content) is None
    return False


class _Loader:
    """Collects the content of a bundle manifest and of all included files."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.mistakes = YamlMistakes()
        self.registries: dict[str, RegistryOverride] = {}
        self.entries: list[ManifestEntry] = []
        self.exclude: list[GoExpression] = []
        self.rename: list[RenameRule] = []
        self.files: list[ManifestFile] = []
        self._environment = environment
        self._folder = path.parent

    def read(
        self, path: Path, data: bytes, options: ImageOptions, parents: tuple[Path, ...]
    ) -> Value | None:
        """Add the content of a file; ``parents`` are the files that include it.

        Returns:
            The parsed YAML; None if the file is a list.
        """
        relative = os.path.relpath(path, self._folder) if parents else path.name
        self.files.append(ManifestFile(relative, Digest.of(data)))
        context = YamlContext(relative, path.parent, self._environment, self.mistakes)
        text = document.decode(data, str(path))
        if is_list(text):
            self._add_list(text, options, context, str(path))
            return None
        value = document.parse(text, str(path), self.mistakes)
        if isinstance(value, MappingNode) and not _KEYS & set(value):
            from bundler.config.yaml import skopeo_sync  # noqa: PLC0415 - for such a file only

            if any(
                isinstance(part, MappingNode) and set(skopeo_sync.KEYS) & set(part)
                for part in value.values()
            ):
                content = skopeo_sync.read(value, context)
                self.registries = {**content.registries, **self.registries}
                for item in content.images:
                    source = create_registry_reference(item.image)
                    origin = context.format_origin(item.at)
                    entry = ManifestEntry(item.image, source, origin, options, item.select)
                    self.entries.append(entry)
                return value
        validate(value, "bundle-manifest", self.mistakes)
        self._add_manifest(value, options, context, (*parents, path))
        return value

    def _add_list(self, text: str, options: ImageOptions, context: YamlContext, file: str) -> None:
        """Add a list with one reference per line; ``#`` begins a comment."""
        references = SequenceNode()
        for number, line in enumerate(text.splitlines(), 1):
            content = _COMMENT.sub("", line)
            word = ScalarNode(content.strip())
            if not word:
                continue
            word.at = Position(file, number, len(content) - len(content.lstrip()) + 1)
            word.plain = True
            if len(word.split()) > 1:
                self.mistakes.add(word.at, "expected one reference per line, got several words")
            else:
                references.append(word)
        self.entries += read_images(references, options, context)

    def _add_manifest(
        self, value: Value, options: ImageOptions, context: YamlContext, files: tuple[Path, ...]
    ) -> None:
        """Add a bundle manifest, then the files that it includes."""
        members = value if isinstance(value, MappingNode) else {}
        options = read_options(members.get("defaults"), options, context)
        registries = members.get("registries")
        if isinstance(registries, MappingNode):
            from bundler.bundle.manifest.registry_overrides import (  # noqa: PLC0415 - for these only
                read_override,
            )

            overrides = {}
            for host, settings in registries.items():
                if not is_domain(host):
                    text = f"{host[:80]!r} is not a valid registry (expected HOST[:PORT])"
                    self.mistakes.add(registries.key_at[host], text)
                overrides[normalize_domain(host)] = read_override(settings, context)
            self.registries = {**overrides, **self.registries}
        self.entries += read_images(members.get("images"), options, context)
        exclude = get_member(members.get("exclude"), "images")
        self.exclude += parse_expressions(exclude, self.mistakes)
        rename = members.get("rename")
        if isinstance(rename, SequenceNode):
            self._add_rename_rules(rename, context)
        include = members.get("include")
        for item in include if isinstance(include, SequenceNode) else ():
            name = item.get("path") if isinstance(item, MappingNode) else item
            if not isinstance(name, ScalarNode) or name.is_null:
                continue
            path = context.folder / name
            if os.path.realpath(path) in map(os.path.realpath, files):
                self.mistakes.add(name.at, f"{path} includes itself")
            elif len(files) > MAX_INCLUDE_DEPTH or len(self.files) >= MAX_FILES:
                expected = f"expected at most {MAX_INCLUDE_DEPTH} levels and {MAX_FILES} files"
                self.mistakes.add(name.at, f"too many includes ({expected})")
            else:
                try:
                    self.read(path, document.read_bytes(path), options, files)
                except InvalidBundleManifestError as error:
                    self.mistakes.add(name.at, f"included here: {error.message}")
                except BundlerError as error:
                    self.mistakes.add(name.at, error.message)

    def _add_rename_rules(self, rules: SequenceNode, context: YamlContext) -> None:
        from bundler.bundle.manifest.expand import (  # noqa: PLC0415 - only for these rules
            RenameRule,
            check_template,
        )

        for rule in rules:
            match = parse_expression(get_member(rule, "match"), self.mistakes)
            to = get_member(rule, "to")
            if match is None or not isinstance(to, ScalarNode):
                continue
            try:
                check_template(to, match)
            except UsageError as error:
                self.mistakes.add(to.at, error.message)
            self.rename.append(RenameRule(match, str(to), context.format_origin(rule.at)))

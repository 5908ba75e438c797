"""Files that rules are about: set-user-ID, world-writable, or similar to secrets.

They are collected while the members of a layer pass, and merged as the layers of an image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bundler.bundle.audit.layers.scan import Member
    from bundler.bundle.audit.packages.path_changes import PathChanges
    from bundler.oci.digest import Digest

MAX_NOTED = 2_000
"""The maximum number of noted files, and of hard links, of one layer."""
_HEAD = 4096  # bytes of each file in which a private key can begin

Mark = Literal["set-user-ID", "set-group-ID", "world-writable", "secret name", "private key"]
SECRETS: tuple[Mark, ...] = ("secret name", "private key")
"""The marks of files that also matter if an upper layer hides them."""

_KEY = re.compile(
    rb"(?:\A|\n)(?:-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----\r?\n"
    rb"|PuTTY-User-Key-File-\d)"
)
_SECRET_NAMES = re.compile(
    r"(?:\A|/)(?:"
    r"\.ssh/(?:id_[a-z0-9_]+|identity)"
    r"|\.aws/credentials"
    r"|\.azure/(?:accessTokens|msal_token_cache)\.json"
    r"|\.config/gcloud/(?:credentials\.db|application_default_credentials\.json)"
    r"|\.docker/config\.json|\.dockercfg|containers/auth\.json"
    r"|\.kube/config"
    r"|\.netrc|\.git-credentials|\.pgpass|\.my\.cnf|\.pypirc|\.htpasswd"
    r"|\.gnupg/(?:secring\.gpg|private-keys-v1\.d/[^/]+)"
    r"|run/secrets/[^/]+"
    r"|etc/kubernetes/admin\.conf"
    r"|[^/]+\.(?:p12|pfx|kdbx|jks|keytab|ppk)"
    r")\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class NotedFile:
    """A file with at least one mark."""

    path: str
    layer: Digest
    """The layer that contains it."""
    mode: int
    marks: tuple[Mark, ...]
    is_removed: bool = False
    """Whether an upper layer hides it, so that it is only stored in the image."""


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """The noted files of one layer."""

    files: tuple[NotedFile, ...]
    links: tuple[tuple[str, str], ...]
    """The path and the target of hard links whose target is not noted in this layer."""
    is_truncated: bool
    """Whether there are more than ``MAX_NOTED``, which are missing."""


@dataclass(slots=True)
class FileCollector:
    """Collects the noted files of a layer; ``visit`` is called for each member. For one thread."""

    layer: Digest
    _files: dict[str, NotedFile] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)
    _is_truncated: bool = False

    def visit(self, member: Member, content: Iterator[memoryview]) -> Iterator[memoryview]:
        """Note a member; return its content from the beginning, for the next visitor."""
        path = member.path
        self._files.pop(path, None)
        self._links.pop(path, None)
        if member.kind == "hard link":
            target = self._files.get(member.target)
            if target is not None:
                self._note(replace(target, path=path))
            elif _SECRET_NAMES.search(path):
                self._note(NotedFile(path, self.layer, member.mode, ("secret name",)))
            elif len(self._links) < MAX_NOTED:
                self._links[path] = member.target
            else:
                self._is_truncated = True
            return content
        marks: list[Mark] = []
        if member.kind == "file":
            marks += ["set-user-ID"] if member.mode & 0o4000 else []
            marks += ["set-group-ID"] if member.mode & 0o2000 else []
        sticky_directory = member.kind == "directory" and member.mode & 0o1000
        if member.mode & 0o002 and member.kind != "symbolic link" and not sticky_directory:
            marks.append("world-writable")
        if member.kind == "file" and member.size:
            head, content = _peek(content, min(_HEAD, member.size))
            if b"PRIVATE KEY" in head or b"PuTTY" in head:
                marks += ["private key"] if _KEY.search(head) else []
            marks += ["secret name"] if _SECRET_NAMES.search(path) else []
        if marks:
            self._note(NotedFile(path, self.layer, member.mode, tuple(marks)))
        return content

    def finish(self) -> LayerFiles:
        """Return what was collected."""
        return LayerFiles(
            tuple(self._files.values()), tuple(self._links.items()), self._is_truncated
        )

    def _note(self, file: NotedFile) -> None:
        if len(self._files) < MAX_NOTED:
            self._files[file.path] = file
        else:
            self._is_truncated = True


def merge_files(layers: Iterable[tuple[LayerFiles, PathChanges]]) -> tuple[NotedFile, ...]:
    """Return the noted files of an image by path; ``layers`` begins with the lowest.

    Secrets that an upper layer hides are included, since they can still be read from the image.
    """
    visible: dict[str, NotedFile] = {}
    removed: list[NotedFile] = []
    for layer, changes in layers:
        linked = {
            path: replace(visible[target], path=path)
            for path, target in layer.links
            if target in visible and not changes.hides(target)
        }
        hidden = [file for path, file in visible.items() if changes.hides(path)]
        for file in hidden:
            del visible[file.path]
            if set(SECRETS) & set(file.marks):
                removed.append(replace(file, is_removed=True))
        visible |= linked | {file.path: file for file in layer.files}
    return tuple(sorted((*visible.values(), *removed), key=lambda file: file.path))


def _peek(content: Iterator[memoryview], size: int) -> tuple[bytes, Iterator[memoryview]]:
    """Return the first ``size`` bytes of a content, and the content with them."""
    first = next(content)
    if len(first) >= size:
        return bytes(first[:size]), chain((first,), content)
    data = bytes(first)
    while len(data) < size:
        data += next(content)
    return data[:size], chain((memoryview(data),), content)

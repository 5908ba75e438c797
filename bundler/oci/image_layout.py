"""The documents of an image layout: ``oci-layout`` and ``index.json``.

Entries and members that are not replaced are preserved unchanged.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bundler.errors import (
    AmbiguousImageError,
    ConflictError,
    IndexOutOfRangeError,
    MalformedError,
    NoSuchImageError,
    NotFoundError,
    UnsupportedError,
    shortlist,
)
from bundler.oci import media_types
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, Descriptor
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
LAYOUT_FILE_CONTENT = b'{"imageLayoutVersion":"1.0.0"}'
MAX_LAYOUT_FILE = 64 * 1024
MAX_INDEX = 16 * 1024 * 1024
_MAX_NAMES = 20


def check_layout_file(raw: bytes, subject: str) -> None:
    """Check the content of ``oci-layout``.

    Raises:
        MalformedError: it does not specify a layout version.
        UnsupportedError: the version is not supported.
    """
    version = Table.parse(raw, subject, limit=MAX_LAYOUT_FILE).text("imageLayoutVersion")
    if version.partition(".")[0] != "1":
        raise UnsupportedError(
            f"{subject}: unsupported layout version (expected 1.0.0, got {version[:40]!r})"
        )


@dataclass(frozen=True, slots=True)
class LayoutIndex:
    """``index.json``: the roots of a layout; the name of a root is an annotation of its entry."""

    subject: str
    """The name of the document in messages."""
    members: dict[str, Any] = field(repr=False)
    """The document without ``manifests``."""
    raw_entries: tuple[dict[str, Any], ...] = field(repr=False)
    entries: tuple[Descriptor, ...]

    @classmethod
    def empty(cls, subject: str) -> LayoutIndex:
        """Create the index of a new layout."""
        return cls(subject, {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX}, (), ())

    @classmethod
    def parse(cls, raw: bytes, subject: str) -> LayoutIndex:
        """Parse ``index.json``.

        Raises:
            LimitError: the document is larger or deeper than allowed.
            MalformedError: it is not an index.
        """
        table = Table.parse(raw, subject, limit=MAX_INDEX)
        table.refuse_other_case(("schemaVersion", "mediaType", "manifests"))
        if table.integer("schemaVersion", 0) != 2:
            raise table.problem("schemaVersion is not 2")
        if table.value.get("mediaType") not in (None, "", media_types.OCI_INDEX):
            raise table.problem(f"mediaType is not {media_types.OCI_INDEX}")
        items = table.tables("manifests")
        return cls(
            subject,
            {**table.value, "manifests": None},
            tuple(dict(item.value) for item in items),
            tuple(map(Descriptor.from_json, items)),
        )

    def list_names(self) -> list[str]:
        """Return all names in their order, each once."""
        return list(dict.fromkeys(filter(None, map(get_name, self.entries))))

    def find(self, name: str | None) -> Descriptor:
        """Return the root called ``name``, or the only root; ``@N`` is entry N, from 0.

        The annotation of the specification takes precedence over the one with full names that
        containerd and Docker write.

        Raises:
            NoSuchImageError: no root has that name.
            AmbiguousImageError: ``name`` is None, and there are several roots.
            IndexOutOfRangeError: ``N`` is past the last entry.
            NotFoundError: the layout is empty.
            MalformedError: several roots have that name.
        """
        if name is None:
            if not self.entries:
                raise NotFoundError(f"{self.subject}: the layout contains no image")
            if len({item.digest for item in self.entries}) > 1:
                raise AmbiguousImageError(
                    self.subject, len(self.entries), hint=self._describe_entries()
                )
            return self.entries[0]
        if name.startswith("@"):
            number = name.removeprefix("@")
            if not (number.isascii() and number.isdigit() and len(number) < 10):
                raise NotFoundError(
                    f"{self.subject}: {name[:40]!r} is not a valid position"
                    " (expected @N, for example @0)"
                )
            if int(number) >= len(self.entries):
                raise IndexOutOfRangeError(self.subject, index=int(number), count=len(self.entries))
            return self.entries[int(number)]
        for annotation in (ANNOTATION_REF_NAME, ANNOTATION_CONTAINERD_NAME):
            found = [item for item in self.entries if item.annotations.get(annotation) == name]
            if len({item.digest for item in found}) > 1:
                raise MalformedError(
                    f"{self.subject}: several images have the name {name!r} ({len(found)})",
                    hint="specify the image by its position: :@0 is the first",
                )
            if found:
                return found[0]
        raise NoSuchImageError(self.subject, name, hint=self._describe_entries())

    def with_entries(self, entries: Iterable[Descriptor]) -> LayoutIndex:
        """Return the index with ``entries``, each replacing the old entry with its name.

        An entry without a name replaces the entry without a name that has the same digest.

        Raises:
            ConflictError: two of ``entries`` have the same name and different digests.
        """
        new: dict[str, Descriptor] = {}
        replaced: set[str] = set()
        for entry in entries:
            key = get_name(entry) or entry.digest.text
            other = new.setdefault(key, entry)
            if other.digest != entry.digest:
                raise ConflictError(
                    f"{self.subject}: two images named {key!r}: {other.digest} and {entry.digest}"
                )
        kept: list[tuple[dict[str, Any], Descriptor]] = []
        for raw, entry in zip(self.raw_entries, self.entries, strict=True):
            key = get_name(entry) or entry.digest.text
            if key not in new and key not in replaced:
                kept.append((raw, entry))
            elif (replacement := new.pop(key, None)) is not None:
                replaced.add(key)
                kept.append((replacement.to_json(), replacement))
        kept += [(entry.to_json(), entry) for entry in new.values()]
        return self._replace_entries(kept)

    def without(self, predicate: Callable[[Descriptor], bool]) -> LayoutIndex:
        """Return the index without the entries for which ``predicate`` returns True."""
        pairs = zip(self.raw_entries, self.entries, strict=True)
        return self._replace_entries([(raw, entry) for raw, entry in pairs if not predicate(entry)])

    def encode(self) -> bytes:
        """Return the document's bytes as containers/image writes them."""
        value = self.members | {"manifests": list(self.raw_entries)}
        from bundler.gocompat import json_encoding  # noqa: PLC0415 - for writers only

        return json_encoding.dumps(value)

    def _replace_entries(self, kept: list[tuple[dict[str, Any], Descriptor]]) -> LayoutIndex:
        return replace(
            self,
            raw_entries=tuple(raw for raw, _ in kept),
            entries=tuple(entry for _, entry in kept),
        )

    def _describe_entries(self) -> str:
        names = [get_name(entry) or f"@{index}" for index, entry in enumerate(self.entries)]
        return f"{self.subject} contains {shortlist(names, _MAX_NAMES) or 'no images'}"


def create_entry(root: Descriptor, name: str | None, annotations: dict[str, str]) -> Descriptor:
    """Return the index entry for ``root``, with ``name`` and only the given annotations."""
    if name is not None:
        annotations = annotations | {ANNOTATION_REF_NAME: name}
    return replace(root, annotations=annotations)


def get_name(entry: Descriptor) -> str | None:
    """Return the name of an entry, from its annotation; None if unset."""
    return entry.annotations.get(ANNOTATION_REF_NAME) or None

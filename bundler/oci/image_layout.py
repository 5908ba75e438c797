"""The documents of an image layout: ``oci-layout`` and ``index.json``.

Members and entries that are not touched stay as they were found.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

import json
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
)
from bundler.errors.counts import shortlist
from bundler.oci import media_types
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, Descriptor
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MARK_FILE = "oci-layout"
INDEX_FILE = "index.json"
MARK = b'{"imageLayoutVersion":"1.0.0"}'
MAX_MARK = 64 * 1024
MAX_INDEX = 16 * 1024 * 1024
_SHOWN_NAMES = 20


def check_mark(raw: bytes, subject: str) -> None:
    """Accept what ``oci-layout`` holds, or say why not.

    Raises:
        MalformedError: it is not such a document.
        UnsupportedError: a version of the layout that nobody knows yet.
    """
    version = Table.parse(raw, subject, limit=MAX_MARK).text("imageLayoutVersion")
    if version.partition(".")[0] != "1":
        raise UnsupportedError(f"{subject}: version {version[:40]!r} of the layout, expected 1.0.0")


@dataclass(frozen=True, slots=True)
class LayoutIndex:
    """``index.json``: the roots of a layout; a root's name is an annotation of its entry."""

    subject: str
    """How messages name it."""
    members: dict[str, Any] = field(repr=False)
    """The whole document but ``manifests``."""
    raw_entries: tuple[dict[str, Any], ...] = field(repr=False)
    entries: tuple[Descriptor, ...]

    @classmethod
    def empty(cls, subject: str) -> LayoutIndex:
        """The index of a new layout."""
        return cls(subject, {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX}, (), ())

    @classmethod
    def parse(cls, raw: bytes, subject: str) -> LayoutIndex:
        """Read ``index.json``.

        Raises:
            LimitError: larger or deeper than allowed.
            MalformedError: not an index.
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
        """Every name, in order, each once."""
        return list(dict.fromkeys(filter(None, map(get_name, self.entries))))

    def find(self, name: str | None) -> Descriptor:
        """The root called ``name``, or the only one; ``@N`` is the entry in that place.

        A name is looked for among the names of references first, then among the full names that
        containerd and Docker write.

        Raises:
            NoSuchImageError: no root has that name.
            AmbiguousImageError: several roots, and no name.
            IndexOutOfRangeError: no entry is in that place.
            NotFoundError: the layout is empty.
            MalformedError: one name for several roots.
        """
        if name is None:
            return self._only()
        if name.startswith("@"):
            return self._at(name)
        for annotation in (ANNOTATION_REF_NAME, ANNOTATION_CONTAINERD_NAME):
            found = [item for item in self.entries if item.annotations.get(annotation) == name]
            if len({item.digest for item in found}) > 1:
                raise MalformedError(
                    f"{self.subject}: {name!r} is the name of {len(found)} images",
                    hint="name the one that is meant by its place: :@0 is the first",
                )
            if found:
                return found[0]
        raise NoSuchImageError(self.subject, name, hint=self._what_there_is())

    def with_entries(self, entries: Iterable[Descriptor]) -> LayoutIndex:
        """The index with ``entries`` in it; one with the name of a former entry takes its place.

        An entry without a name takes the place of the one without a name that has its digest.

        Raises:
            ConflictError: two of ``entries`` want one name and differ.
        """
        wanted: dict[str, Descriptor] = {}
        placed: set[str] = set()
        for entry in entries:
            key = get_name(entry) or entry.digest.text
            former = wanted.setdefault(key, entry)
            if former.digest != entry.digest:
                raise ConflictError(
                    f"{self.subject}: {key!r} is wanted by {former.digest} and {entry.digest}"
                )
        kept: list[tuple[dict[str, Any], Descriptor]] = []
        for raw, entry in zip(self.raw_entries, self.entries, strict=True):
            key = get_name(entry) or entry.digest.text
            replacement = wanted.get(key)
            if replacement is None:
                kept.append((raw, entry))
            elif key not in placed:
                placed.add(key)
                kept.append((replacement.to_json(), replacement))
        kept += [(new.to_json(), new) for key, new in wanted.items() if key not in placed]
        return self._with(kept)

    def without(self, unwanted: Callable[[Descriptor], bool]) -> LayoutIndex:
        """The index with none of the entries that are ``unwanted``."""
        pairs = zip(self.raw_entries, self.entries, strict=True)
        return self._with([(raw, entry) for raw, entry in pairs if not unwanted(entry)])

    def encode(self) -> bytes:
        """The document's bytes, as containers/image would write them."""
        value = self.members | {"manifests": list(self.raw_entries)}
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return text.translate(_AS_GO_ESCAPES).encode()

    def _with(self, kept: list[tuple[dict[str, Any], Descriptor]]) -> LayoutIndex:
        return replace(
            self,
            raw_entries=tuple(raw for raw, _ in kept),
            entries=tuple(entry for _, entry in kept),
        )

    def _only(self) -> Descriptor:
        if not self.entries:
            raise NotFoundError(f"{self.subject}: there is no image in it")
        if len({item.digest for item in self.entries}) > 1:
            raise AmbiguousImageError(self.subject, len(self.entries), hint=self._what_there_is())
        return self.entries[0]

    def _at(self, place: str) -> Descriptor:
        number = place.removeprefix("@")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise NotFoundError(f"{self.subject}: {place[:40]!r} is not a place such as @0")
        if int(number) >= len(self.entries):
            raise IndexOutOfRangeError(self.subject, index=int(number), count=len(self.entries))
        return self.entries[int(number)]

    def _what_there_is(self) -> str:
        names = [get_name(entry) or f"@{index}" for index, entry in enumerate(self.entries)]
        return f"it holds {shortlist(names, _SHOWN_NAMES) or 'nothing'}"


def create_entry(root: Descriptor, name: str | None, annotations: dict[str, str]) -> Descriptor:
    """The entry that makes ``name`` stand for ``root``; its own annotations stay behind."""
    if name is not None:
        annotations = annotations | {ANNOTATION_REF_NAME: name}
    return replace(root, annotations=annotations)


def get_name(entry: Descriptor) -> str | None:
    """The name that an entry gives its root."""
    return entry.annotations.get(ANNOTATION_REF_NAME) or None


# Go's encoder escapes what a browser might take for markup, and two line separators.
_AS_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}

"""Search the evidence of all imports and audits.

Everything that an answer is taken from is compared with its digest, beginning with the log.
Evidence that is missing, damaged or incomplete is a gap in the answer, and never an absence of
matches.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from bundler.bundle.records.evidence import document, objects
from bundler.bundle.records.evidence.answer import MIN_FINGERPRINT, Answer, Gap, Match
from bundler.bundle.records.evidence.document import parse_object
from bundler.bundle.records.evidence.objects import Unread
from bundler.bundle.records.restore import read_former_logs
from bundler.bundle.records.state import streams
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bundler.bundle.records.evidence.answer import GapCode, Query
    from bundler.bundle.records.evidence.document import Document, KeptImage, KeptPlatform
    from bundler.bundle.records.evidence.objects import ObjectStore
    from bundler.bundle.records.log.log import Entry
    from bundler.bundle.records.site import Records

T = TypeVar("T")

_EVENTS = (streams.IMPORT, streams.AUDIT, streams.REFUSED)
_NOT_IMPORTED = ("failed", "skipped", "conflict")


def search(records: Records, query: Query, names: Mapping[str, str]) -> Answer:
    """Search the log, and those before it; ``names`` are the names of keys by their IDs.

    Raises:
        MalformedError: the directory of the evidence is not a directory, or is a link.
        MediumError: a file cannot be read.
    """
    former = list(read_former_logs(records))
    entries = [entry for log in reversed(former) for entry in log.entries] + [*records.log.entries]
    with objects.open_store(records.path) as store, ThreadPoolExecutor(os.cpu_count()) as executor:
        run = _Search(store, executor, query, names)
        for log in former:
            if not (log.is_whole or (query.since and log.restored.time < query.since)):
                text = f"{log.name or 'the log before'}: damaged, so that imports may be missing"
                run.add_gap("log-restored", log.restored, text)
        return run.answer(entries)


class _Search:
    """One search; objects are read by threads, each once."""

    def __init__(
        self,
        store: ObjectStore,
        executor: ThreadPoolExecutor,
        query: Query,
        names: Mapping[str, str],
    ) -> None:
        self._store = store
        self._executor = executor
        self._query = query
        self._names = names
        self._documents: dict[Digest, Document | Unread] = {}
        self._packages: dict[str, dict[str, bool]] = {}
        """The lists of packages that any entry has of an image, by the digest of its manifest, and
        whether they are complete."""
        self._vulnerabilities: dict[str, dict[str, bool]] = {}
        """The same for lists of vulnerabilities."""
        self._found: dict[str, list[str] | Unread] = {}
        """The texts of the matches in lists of packages and of contents."""
        self._gaps: dict[tuple[Digest, GapCode, str], tuple[Entry, dict[str, None]]] = {}

    def answer(self, entries: Sequence[Entry]) -> Answer:
        """Return the matches, and what could not be searched."""
        query, answer = self._query, Answer()
        events = [entry for entry in entries if entry.event in _EVENTS]
        selected = [entry for entry in events if query.contains(entry.time)]
        # A list of packages or vulnerabilities counts for each entry with its image.
        self.read_documents(events if query.package or query.vulnerability else selected)
        selected = [entry for entry in selected if self.is_by_person(entry)]
        answer.entries = len(selected)
        if query.needs_images:
            candidates = [(entry, image) for entry in selected for image in self.list_images(entry)]
            self.search_objects({image for _, image in candidates})
            for entry, image in candidates:
                answer.matches += self.match(entry, image)
        else:
            answer.matches += [Match(entry, "entry") for entry in selected]
        answer.gaps = [
            Gap(code, entry, text, tuple(images))
            for (_, code, text), (entry, images) in self._gaps.items()
        ]
        return answer

    def read_documents(self, entries: Iterable[Entry]) -> None:
        """Read the documents of ``entries``, and collect the lists of packages that they name."""
        digests = {entry.table.digest("evidence") for entry in entries if "evidence" in entry.table}
        read = partial(document.read, self._store)
        self._documents = self.read_all(dict.fromkeys(digests, read))
        for item in self._documents.values():
            if isinstance(item, Unread):
                continue
            for image in item.images:
                for platform in image.platforms:
                    if platform.packages:
                        lists = self._packages.setdefault(platform.digest, {})
                        lists[platform.packages] = not platform.unreadable
                    if platform.vulnerabilities:
                        lists = self._vulnerabilities.setdefault(platform.digest, {})
                        lists[platform.vulnerabilities] = platform.is_complete

    def is_by_person(self, entry: Entry) -> bool:
        """Whether an entry meets the condition on persons."""
        if not self._query.person:
            return True
        table = entry.table
        keys, operator = list(table.texts("signedBy")), table.table("operator")
        names = [operator.optional_text("user"), operator.optional_text("sudo")]
        names += [self._names.get(key) for key in keys]
        read = self._documents.get(table.digest("evidence")) if "evidence" in table else None
        if isinstance(read, Unread):
            self.add_gap(read.code, entry, read.text)
        elif read is not None:
            of_images = [text for image in read.images for text in image.signers]
            names += [*read.signers, *of_images]
            keys += [text.lower() for text in of_images]
        person = self._query.person.casefold()
        digits = person.replace(" ", "")
        return any(name and person in name.casefold() for name in names) or (
            len(digits) >= MIN_FINGERPRINT and any(key.startswith(digits) for key in keys)
        )

    def list_images(self, entry: Entry) -> Iterator[KeptImage]:
        """Yield the images of an entry that meet the condition on names."""
        if "evidence" not in entry.table:
            if entry.event != streams.REFUSED:
                self.add_gap("no-evidence", entry, "no evidence was kept")
            return
        read = self._documents[entry.table.digest("evidence")]
        if isinstance(read, Unread):
            self.add_gap(read.code, entry, read.text)
            return
        pattern = self._query.image
        for image in read.images:
            if pattern is None or pattern.search(image.reference) or pattern.search(image.name):
                yield image

    def search_objects(self, images: Iterable[KeptImage]) -> None:
        """Search the objects of ``images`` that the query needs, each once."""
        tasks: dict[str, Callable[[Digest], list[str]]] = {}
        for image in images:
            if self._query.digest and image.contents:
                tasks[image.contents] = self.search_contents
            if self._query.vulnerability:
                for platform in image.platforms:
                    found = self._vulnerabilities.get(platform.digest, {})
                    tasks |= dict.fromkeys(found, self.search_vulnerabilities)
            if self._query.package is not None:
                for platform in image.platforms:
                    tasks |= dict.fromkeys(self.get_lists(platform), self.search_packages)
                for claim in image.claims:
                    if claim.packages:
                        tasks[claim.packages] = self.search_packages
        results = self.read_all({Digest(text): task for text, task in tasks.items()})
        self._found = {digest.text: result for digest, result in results.items()}

    def read_all(self, tasks: Mapping[Digest, Callable[[Digest], T]]) -> dict[Digest, T | Unread]:
        """Read objects, each with its function; return the results.

        Each thread gets an equal part: a task for each object would take longer than to read it.
        """
        items, threads = list(tasks.items()), os.cpu_count() or 1

        def read_part(start: int) -> list[tuple[Digest, T | Unread]]:
            return [(key, objects.attempt(key, read)) for key, read in items[start::threads]]

        return dict(chain.from_iterable(self._executor.map(read_part, range(threads))))

    def search_contents(self, digest: Digest) -> list[str]:
        """Return the content with the requested digest in a list of contents."""
        raw = self._store.read(digest)
        if self._query.digest.encode() not in raw:
            return []
        return [
            f"{item.text('kind')} {item.text('digest')}"
            for item in Table(parse_object(raw, digest), f"evidence {digest}").tables("contents")
            if item.digest("digest").hex.startswith(self._query.digest)
        ]

    def search_packages(self, digest: Digest) -> list[str]:
        """Return the matches in a list of packages."""
        assert self._query.package is not None  # noqa: S101 - for mypy
        return list(self._query.package.find(self._store.read(digest), digest))

    def search_vulnerabilities(self, digest: Digest) -> list[str]:
        """Return the matches in a list of vulnerabilities, and in its records without a result."""
        raw, searched = self._store.read(digest), self._query.vulnerability
        if json.dumps(searched)[1:-1].encode() not in raw.lower():
            return []
        table = Table(parse_object(raw, digest), f"evidence {digest}")
        found = []
        for item in table.tables("vulnerabilities"):
            names = (item.text("id"), *item.texts("aliases"))
            if searched in map(str.lower, names):
                version, severity = (
                    item.optional_text("version") or "",
                    item.optional_text("severity"),
                )
                found.append(f"{names[0]}: {item.text('package')}@{version}, {severity}")
        return found + [
            f"{item.text('id')}: {item.text('purl')}, not compared"
            for item in table.tables("unchecked")
            if item.text("id").lower() == searched
        ]

    def get_lists(self, platform: KeptPlatform) -> dict[str, bool]:
        """Return the lists of packages of an image: its own, or else those of other entries."""
        if platform.packages:
            return {platform.packages: not platform.unreadable}
        return self._packages.get(platform.digest, {})

    def match(self, entry: Entry, image: KeptImage) -> Iterator[Match]:
        """Yield the matches of an image."""
        digests = self.match_digest(entry, image) if self._query.digest else []
        if self._query.digest and not digests:
            return
        if self._query.vulnerability:
            matches = list(self.match_vulnerabilities(entry, image))
            if matches and self._query.package is not None:
                yield from self.match_packages(entry, image)
            yield from matches
        elif self._query.package is not None:
            yield from self.match_packages(entry, image)
        elif digests:
            yield from (Match(entry, "digest", text, image) for text in digests)
        else:
            yield Match(entry, "image", "", image)

    def match_digest(self, entry: Entry, image: KeptImage) -> list[str]:
        """Return the content of an image, or its bundle, with the requested digest."""
        if image.contents:
            found = self.get_found(entry, image, image.contents)
        else:
            found = [f"image {image.digest}"]
            self.add_gap("no-contents", entry, "the manifests were not read", image)
        if "inventory" in entry.table:
            found = [*found, f"inventory {entry.table.text('inventory')}"]
        return [text for text in found if text.partition(":")[2].startswith(self._query.digest)]

    def match_packages(self, entry: Entry, image: KeptImage) -> Iterator[Match]:
        """Yield the packages of an image, and note what is not known about them."""
        if not (image.platforms or image.is_artifact):
            self.add_gap("no-package-list", entry, "no list of packages", image)
        for platform in image.platforms:
            lists = self.get_lists(platform)
            texts = {text: None for item in lists for text in self.get_found(entry, image, item)}
            yield from (Match(entry, "package", text, image, platform.name) for text in texts)
            if not lists:
                self.add_gap("no-package-list", entry, "no list of packages", image)
            elif not texts and not any(lists.values()):
                text = "files that state packages cannot be read"
                self.add_gap("package-list-incomplete", entry, text, image)
        for claim in image.claims:
            for text in self.get_found(entry, image, claim.packages) if claim.packages else ():
                yield Match(entry, "package", text, image, is_claimed=True)

    def match_vulnerabilities(self, entry: Entry, image: KeptImage) -> Iterator[Match]:
        """Yield the vulnerabilities of an image, and note what is not known about them."""
        if not (image.platforms or image.is_artifact):
            self.add_gap("no-vulnerability-result", entry, "no check for vulnerabilities", image)
        for platform in image.platforms:
            lists = self._vulnerabilities.get(platform.digest, {})
            texts = {text: None for item in lists for text in self.get_found(entry, image, item)}
            yield from (Match(entry, "vulnerability", text, image, platform.name) for text in texts)
            if not lists:
                text = "no check for vulnerabilities"
                self.add_gap("no-vulnerability-result", entry, text, image)
            elif not texts and not any(lists.values()):
                text = "packages were not compared with the database"
                self.add_gap("vulnerability-result-incomplete", entry, text, image)

    def get_found(self, entry: Entry, image: KeptImage, digest: str) -> list[str]:
        """Return the matches in an object that was searched, or note that it cannot be read."""
        found = self._found[digest]
        if isinstance(found, Unread):
            self.add_gap(found.code, entry, found.text, image)
            return []
        return found

    def add_gap(
        self, code: GapCode, entry: Entry, text: str, image: KeptImage | None = None
    ) -> None:
        """Note that an entry cannot answer, unless it or the image was not imported."""
        is_imported = image is None or image.action not in _NOT_IMPORTED
        if is_imported and (entry.event != streams.REFUSED or image is None):
            key = (entry.digest, code, text)
            _, images = self._gaps.setdefault(key, (entry, {}))
            if image is not None:
                images[image.reference] = None

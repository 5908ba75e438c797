"""Compare a bundle with the target to which it was imported.

The target itself is asked for every name, manifest, referrer and blob, not its mirrors; the digests
come from the bundle. With ``deep``, blobs are read and hashed, too.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bundler import transports
from bundler.bundle.audit.differences.target_difference import (
    ProblemCode,
    TargetDifference,
    TargetProblem,
    TargetRequest,
)
from bundler.bundle.format.bundle_source import BundleSource, open_for_reading
from bundler.bundle.importing.comparing.signatures import select_signatures
from bundler.bundle.importing.target import (
    DirectoryTarget,
    OpenRegistry,
    RegistryTarget,
    open_target,
)
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import VerifiedReader, drain
from bundler.copy.parallel import run_all
from bundler.copy.target_names import compare_with_target
from bundler.errors import (
    DeniedError,
    IntegrityError,
    NotFoundError,
    RefusedRequestError,
    UnauthorizedError,
    UnsupportedError,
)
from bundler.oci.reference import ImageReference
from bundler.ports import ListsReferrers, ListsTags, Node, ReportsMirror
from bundler.signature_ports import HasSignatures
from bundler.transport_port import ListsRepositories
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from bundler.bundle.importing.target import OpenTarget
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import Graph
    from bundler.copy.planned_image import PlannedImage
    from bundler.copy.target_names import NameState
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings, Source


def compare_target(request: TargetRequest, engine: EngineOptions) -> TargetDifference:
    """Compare the images of a bundle with a target; nothing is written.

    Raises:
        NotFoundError: the target is a directory that does not exist.
        RegistryError: the target cannot be reached, or denies access.
        DamagedBundleError, IntegrityError: a manifest of the bundle is missing or damaged.
        UnsupportedError: with ``deep``, a mirror answers in place of the target.
    """
    if isinstance(request.target, DirectoryTarget) and not request.target.directory.is_dir():
        raise NotFoundError(f"{request.target}: no such directory")
    with ExitStack() as stack:
        comparison = _Comparison(request, engine, stack)
        problems = [
            comparison.compare_names(),
            comparison.compare_content(),
            comparison.compare_signatures(),
        ]
        extra = tuple(comparison.find_extra_names()) if request.extra else None
        return TargetDifference(
            target=str(request.target),
            images=len(request.images),
            content=comparison.found,
            problems=tuple(problem for found in problems for problem in found),
            extra=extra,
            lists_repositories=comparison.lists_repositories,
        )


class _Comparison:
    """The open target, and the images with their names there."""

    def __init__(self, request: TargetRequest, engine: EngineOptions, stack: ExitStack) -> None:
        self._request = request
        self._engine = engine
        self._stack = stack
        self._target: OpenTarget = open_target(
            request.target, request.options, stack, writable=False
        )
        self._sources: dict[str, Source] = {}
        self._opening = threading.Lock()
        self._planned: list[tuple[str, PlannedImage[Holdings]]] = []
        self._absent_layers: list[set[Digest]] = []
        self.found = 0
        self.lists_repositories = True
        names = request.names
        for image in request.images:
            listed = image.listed
            if listed is None:
                raise UnsupportedError(f"{image.name}: not an image of a bundle")
            name = names.map_reference(listed.reference, listed.digest, listed.rename)
            resolved = image.resolve(engine.emit, referrers=True)
            if listed.signatures and isinstance(image.source, BundleSource):
                signatures = image.source.signature_files.of_image(listed)
                resolved = replace(resolved, signatures=signatures)
            planned = self._target.create_planned_image(resolved, name)
            self._planned.append((self._target.format_name(name), planned))
            if listed.absent_layers is not None:
                self._absent_layers.append({layer.digest for layer in listed.absent_layers})
            else:  # a bundle of an older version, in which any foreign layer may be absent
                foreign = resolved.foreign_layers
                self._absent_layers.append({node.digest for node in foreign if node.digest})

    def compare_names(self) -> list[TargetProblem]:
        """Compare the names of images and referrers, and the lists of referrers."""
        tasks = [partial(self._compare_names_of, *item) for item in self._planned]
        found = run_all(self._engine.executor, tasks, self._engine.cancellation)
        return [problem for problems in found for problem in problems]

    def _compare_names_of(
        self, full_name: str, planned: PlannedImage[Holdings]
    ) -> list[TargetProblem]:
        problems: list[TargetProblem] = []
        root = planned.image.graph.root.digest
        names = [(name, root) for name in planned.names]
        tags = [(tag, digest) for digest, of in planned.referrer_names.items() for tag in of]
        states = compare_with_target([*names, *tags], self._target.find_resolver(planned))
        for position, state in enumerate(states):
            if state.is_same or (position < len(names) and self._was_merged(planned, state)):
                continue
            code: ProblemCode
            if position < len(names):
                code, name = "name-moved" if state.current else "name-absent", full_name
            else:
                code = "referrer-tag-moved" if state.current else "referrer-tag-absent"
                name = state.name
            actual = None if state.current is None else state.current.text
            problems.append(TargetProblem(code, name, state.expected, actual=actual))
        untagged = [item for item in planned.image.referrers if item.tag is None]
        if not untagged:
            return problems
        source = self._open_source(self._find_location(full_name))
        if isinstance(source, ListsReferrers):
            listed = {
                subject: {item.digest for item in source.referrers(subject)}
                for subject in {item.subject for item in untagged}
            }
            problems += [
                TargetProblem("referrer-not-listed", full_name, item.graph.root.digest)
                for item in untagged
                if item.graph.root.digest not in listed[item.subject]
            ]
        return problems

    def _was_merged(self, planned: PlannedImage[Holdings], state: NameState) -> bool:
        """Whether a name points to an index that an import made of this image and another one."""
        resolver = self._target.find_resolver(planned)
        if resolver is None or not state.is_conflict:
            return False
        from bundler.bundle.importing.comparing.merge_platforms import includes  # noqa: PLC0415 - if names differ

        return includes(planned.image, state.name, planned.destination, resolver)

    def compare_content(self) -> list[TargetProblem]:
        """Check that every manifest and blob is stored, once in each scope."""
        nodes: dict[tuple[str, Digest], tuple[str, str, Holdings, Node]] = {}
        for (full_name, planned), absent in zip(self._planned, self._absent_layers, strict=True):
            for scope, graph in self._list_graphs(full_name, planned):
                manifests = [Node.of(item.descriptor, "manifest") for item in graph.manifests]
                for node in (*manifests, *graph.blobs):
                    if node.digest is not None and node.digest not in absent:
                        item = (full_name, scope, planned.destination, node)
                        nodes.setdefault((scope, node.digest), item)
        tasks = [partial(self._check_node, *item) for item in nodes.values()]
        found = run_all(self._engine.executor, tasks, self._engine.cancellation)
        problems = [problem for problem in found if problem is not None]
        self.found = len(nodes) - len(problems)
        return problems

    def _list_graphs(
        self, full_name: str, planned: PlannedImage[Holdings]
    ) -> Iterator[tuple[str, Graph]]:
        """Yield the graphs of an image and its referrers, each with the scope of its content.

        The scope is a repository, a layout, or the directory of one image.
        """
        scope = self._find_location(full_name)
        target = self._request.target
        if isinstance(target, RegistryTarget) or target.format == "oci":
            yield from ((scope, graph) for graph in planned.image.graphs)
            return
        names = {planned.image.graph.root.digest: planned.names} | dict(planned.referrer_names)
        for graph in planned.image.graphs:
            for name in names[graph.root.digest]:
                yield f"{scope}/{name}", graph

    def _check_node(
        self, full_name: str, scope: str, holdings: Holdings, node: Node
    ) -> TargetProblem | None:
        digest = node.digest
        if digest is None:
            return None
        if isinstance(self._target, OpenRegistry):
            if not holdings.has(node):
                return TargetProblem("content-absent", full_name, digest, node.kind)
            if not self._request.deep:
                return None
        try:
            source = self._open_source(scope)
            with source.open(node) as stream:
                if isinstance(stream, RegularFile) and stream.size != node.size:
                    actual = f"{stream.size:,} bytes (expected {node.size:,})"
                    return TargetProblem("content-damaged", full_name, digest, node.kind, actual)
                if not self._request.deep:
                    return None
                check = self._engine.cancellation.check
                reader = VerifiedReader(
                    stream, full_name, digest=digest, size=node.size, observe=lambda _: check()
                )
                drain(reader)
        except NotFoundError:
            return TargetProblem("content-absent", full_name, digest, node.kind)
        except IntegrityError as error:
            return TargetProblem("content-damaged", full_name, digest, node.kind, error.message)
        if isinstance(source, ReportsMirror) and source.served_by is not None:
            raise UnsupportedError(
                f"{full_name}: {source.served_by} answers in place of the target, so the content of"
                " the target cannot be read",
                hint="leave out --deep, or remove the mirror from registries.conf",
            )
        return None

    def compare_signatures(self) -> list[TargetProblem]:
        """Compare the signature files of the bundle with the signatures that the target stores.

        Signatures that an import could not store there are left out.
        """
        signed = [item for item in self._planned if item[1].image.signatures]
        tasks = [partial(self._compare_signatures_of, *item) for item in signed]
        found = run_all(self._engine.executor, tasks, self._engine.cancellation)
        return [problem for problems in found for problem in problems]

    def _compare_signatures_of(
        self, full_name: str, planned: PlannedImage[Holdings]
    ) -> list[TargetProblem]:
        storable, _ = select_signatures(
            planned, full_name, stores_signatures=self._target.stores_signatures(planned)
        )
        scope, _ = next(self._list_graphs(full_name, planned))
        problems = []
        for manifest, expected in storable.image.signatures.items():
            try:
                source = self._open_source(scope)
                stored = source.signatures(manifest) if isinstance(source, HasSignatures) else []
            except NotFoundError:  # the image is absent, which is another problem
                stored = []
            absent = len(set(expected) - set(stored))
            if absent:
                actual = f"{absent} of {len(expected)}"
                problems.append(
                    TargetProblem("signature-absent", full_name, manifest, actual=actual)
                )
        return problems

    def find_extra_names(self) -> Iterable[str]:
        """Yield the names below the prefix of the target that the bundle does not have.

        A tag in which a registry without the referrers API lists the referrers of a manifest is
        not extra.
        """
        expected: dict[str, set[str]] = {}
        for full_name, planned in self._planned:
            location = self._find_location(full_name)
            names = expected.setdefault(location, set())
            names |= set(planned.names)
            names |= {tag for tags in planned.referrer_names.values() for tag in tags}
            names |= {
                str(item.descriptor.digest).replace(":", "-")
                for graph in planned.image.graphs
                for item in graph.manifests
            }
        for location, names in sorted(expected.items()):
            source = self._open_source(location)
            if isinstance(source, ListsTags):
                with suppress(NotFoundError):  # the repository does not exist
                    for tag in sorted(set(source.tags()) - names):
                        yield f"{location}:{tag}"
        if isinstance(self._request.target, RegistryTarget) and expected:
            yield from self._find_extra_repositories(self._request.target, expected)

    def _find_extra_repositories(
        self, target: RegistryTarget, expected: Collection[str]
    ) -> Iterator[str]:
        """Yield the other repositories below the prefix, if the registry lists them."""
        image = ImageReference.parse(next(iter(expected)))
        reference = create_registry_reference(image, target.front)
        transport = transports.find_transport(reference.transport)
        self.lists_repositories = False
        if not isinstance(transport, ListsRepositories):
            return
        try:
            paths = transport.list_repositories(reference, self._request.options)
        except (NotFoundError, UnauthorizedError, DeniedError, RefusedRequestError):
            return
        self.lists_repositories = True
        known = {ImageReference.parse(repository).path for repository in expected}
        for path in sorted(set(paths) - known):
            if not target.prefix or path.startswith(f"{target.prefix}/"):
                yield f"{target.domain}/{path}"

    def _find_location(self, full_name: str) -> str:
        """Return the repository of a target name; for a directory, the directory."""
        if isinstance(self._target, OpenRegistry):
            return ImageReference.parse(full_name).repository
        return str(self._request.target)

    def _open_source(self, scope: str) -> Source:
        """Open a scope for reading, once."""
        target = self._request.target
        with self._opening:
            if scope not in self._sources:
                if isinstance(target, RegistryTarget):
                    image = ImageReference.parse(scope)
                    reference = create_registry_reference(image, target.front)
                    source = transports.open_source(reference, self._request.options)
                elif scope == str(target):
                    source = open_for_reading(target.directory, target.format)
                else:
                    reference = transports.parse(scope)
                    source = transports.open_source(reference, self._request.options)
                self._sources[scope] = source
                self._stack.callback(source.close)
            return self._sources[scope]

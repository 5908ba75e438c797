"""From what is wanted to what it is now: open the places it comes from, and resolve all of it."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bundler import transports
from bundler.copy.graph import ResolvedImage, Wish
from bundler.copy.parallel import run_all, run_collecting_errors
from bundler.copy.platform_selection import Selection
from bundler.copy.resolve import resolve
from bundler.errors import BundlerError, ConflictError, UsageError
from bundler.ports import ListsTags, ReportsMirror

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.manifest.expand import Wanted
    from bundler.copy.engine import EngineOptions
    from bundler.ports import OpenOptions, Source


@dataclass(frozen=True, slots=True)
class Found:
    """A wanted image and what it is; ``image.wish.source`` stays open as long as the stack."""

    wanted: Wanted
    image: ResolvedImage

    @property
    def served_by(self) -> str | None:
        """Where it was really pulled from, if the source can tell."""
        source = self.image.wish.source
        return source.served_by if isinstance(source, ReportsMirror) else None


@dataclass(frozen=True, slots=True)
class Missing:
    """A wanted image that could not be resolved, and why."""

    wanted: Wanted
    error: BundlerError


@dataclass(frozen=True, slots=True)
class Resolved:
    """All that was wanted, in its order."""

    found: tuple[Found, ...]
    missing: tuple[Missing, ...] = ()


def resolve_all(
    wanted: Sequence[Wanted], options: OpenOptions, running: EngineOptions, stack: ExitStack
) -> Resolved:
    """Resolve every wanted image, in parallel, in the order they are given.

    Args:
        wanted: what to resolve.
        options: how to open the places.
        running: with ``keep_going``, what cannot be resolved is returned instead of raised.
        stack: closes the sources in the end.

    Raises:
        BundlerError: the first failure, named with its origin.
    """
    tasks = [partial(_resolve, item, options, stack) for item in wanted]
    if not running.keep_going:
        return Resolved(tuple(run_all(running.executor, tasks, running.cancellation)))
    results = run_collecting_errors(running.executor, tasks, running.cancellation)
    found, missing = [], []
    for item, result in zip(wanted, results, strict=True):
        if isinstance(result, BundlerError):
            missing.append(Missing(item, result))
        else:
            found.append(result)
    return Resolved(tuple(found), tuple(missing))


def open_tags(repository: str, options: OpenOptions) -> Sequence[str]:
    """Every tag of ``repository``, a reference without a tag.

    Raises:
        UsageError: this kind of place has no list of tags.
    """
    reference = transports.parse(repository)
    source = transports.transport(reference.transport).source(reference, options)
    with closing(source):
        if not isinstance(source, ListsTags):
            raise UsageError(f"{repository}: a {reference.transport}: place has no list of tags")
        return source.tags()


def _resolve(wanted: Wanted, options: OpenOptions, stack: ExitStack) -> Found:
    try:
        image = resolve(_wish(wanted, _open(wanted.source, options, stack)))
    except BundlerError as error:
        error.add_note(f"asked for by {wanted.origin}")
        raise
    root = image.graph.root.digest
    if wanted.result not in (None, root):
        raise ConflictError(
            f"{wanted.reference}: choosing platforms makes {root}, but {wanted.result} is locked",
            hint="lock again",
        )
    return Found(wanted, image)


def _open(text: str, options: OpenOptions, stack: ExitStack) -> Source:
    reference = transports.parse(text)
    source = transports.transport(reference.transport).source(reference, options)
    stack.callback(source.close)
    return source


def _wish(wanted: Wanted, source: Source) -> Wish:
    name = transports.parse(wanted.source).name
    selection = Selection(index="sparse" if wanted.index == "sparse" else "strip")
    if wanted.index != "all":
        selection = replace(selection, platforms=wanted.platforms)
    known = wanted.locked_referrers
    return Wish(
        source,
        name,
        wanted.reference,
        selection,
        wanted.referrers,
        wanted.pin,
        None if known is None else tuple((item.digest, item.tag) for item in known),
    )

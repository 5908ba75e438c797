"""Paginated lists of tags, repositories and referrers, with limits.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.errors import LimitError, MalformedError, RegistryError
from bundler.oci.json import strict
from bundler.registry import errors
from bundler.registry.auth.origin import Origin, resolve_location

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from bundler.registry.request import Scopes
    from bundler.registry.response import Response
    from bundler.registry.session import Session

PAGE_SIZE = 1000
MAX_PAGE = 16 * 1024 * 1024
MAX_PAGES = 10_000
MAX_ENTRIES = 1_000_000

# The pattern cannot match across links, so a hostile header is matched in linear time.
_NEXT = re.compile(r'<([^<>]*)>[^<,]*;\s*rel="?next"?', re.IGNORECASE)
_MAX_NAME = 255  # characters of a repository name; tags are shorter


def list_strings(
    session: Session, url: str, key: str, *, subject: str, scopes: Scopes
) -> Iterator[str]:
    """Yield the strings in the member ``key`` of each page.

    Raises:
        LimitError: the list has too many pages or entries, or a page is too large.
        RegistryError: a page is invalid, or the next page has another origin.
    """
    total = 0
    for response, body in iterate_pages(session, url, subject=subject, scopes=scopes):
        errors.refuse_html(response)
        try:
            entries = strict.load_object(body, subject=subject, limit=MAX_PAGE).get(key)
        except MalformedError as error:
            raise errors.create_parse_error(subject, error) from None
        if entries is None:
            continue
        if not isinstance(entries, list) or not all(
            isinstance(entry, str) and len(entry) <= _MAX_NAME for entry in entries
        ):
            raise RegistryError(f"{subject}: {key} is not a list of names")
        total += len(entries)
        if total > MAX_ENTRIES:
            raise LimitError(f"{subject}: more than the {MAX_ENTRIES:,} entries allowed")
        yield from entries


def iterate_pages(
    session: Session, url: str, *, subject: str, scopes: Scopes, allow: Collection[int] = ()
) -> Iterator[tuple[Response, bytes]]:
    """Yield the response and the body of each page.

    Each page must have the origin of the session, and no URL may occur twice. Raises the same
    errors as ``list_strings``.
    """
    seen: set[str] = set()
    next_url: str | None = url
    while next_url is not None:
        seen.add(next_url)
        if len(seen) > MAX_PAGES:
            raise LimitError(f"{subject}: more than the {MAX_PAGES:,} pages allowed")
        with session.request(
            "GET", next_url, subject=subject, scopes=scopes, allow=allow
        ) as response:
            body = response.read(MAX_PAGE, subject)
        yield response, body
        link = _NEXT.search(response.headers.get("Link", ""))
        next_url = None if link is None else resolve_location(response.url, link[1])
        if next_url is not None and Origin.of(next_url) != session.origin:
            raise RegistryError(
                f"{subject}: the next page of the list has another origin: {Origin.of(next_url)}"
            )
        if next_url in seen:
            raise RegistryError(f"{subject}: the list contains the same page twice")

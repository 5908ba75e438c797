"""Paginated lists of tags, repositories and referrers, with limits.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from bundler.errors import LimitError, MalformedError, RefusedRequestError, RegistryError, count
from bundler.oci.json import strict
from bundler.registry import errors
from bundler.registry.auth.origin import get_target, join_location
from bundler.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from bundler.registry.exchange.request import Scopes
    from bundler.registry.exchange.response import Response
    from bundler.registry.session import Session

PAGE_SIZE = 1000
MAX_PAGE = 16 * 1024 * 1024
MAX_PAGES = 10_000
MAX_TOTAL = 64 * 1024 * 1024
"""Maximum total size of the pages of a list, in bytes."""
MAX_ENTRIES = 1_000_000
MAX_NAMES = 32 * 1024 * 1024
"""Maximum total length of the names in a list."""
_MAX_URL = 4096

# The patterns cannot match across links, so a hostile header is matched in linear time.
_NEXT = re.compile(r'<([^<>]*)>[^<,]*;\s*rel="?next"?', re.IGNORECASE)
_BARE_NEXT = re.compile(r'\s*([^<>;,\s]+)\s*;\s*rel="?next"?', re.IGNORECASE)
_MAX_NAME = 255  # characters; repository names are longer than tags


def list_strings(
    session: Session, url: str, key: str, *, subject: str, scopes: Scopes
) -> Iterator[str]:
    """Yield the strings in the member ``key`` of each page.

    Raises:
        LimitError: the list has too many pages or entries, or a page is too large.
        RegistryError: a page is invalid, or the list contains a page twice.
    """
    total = length = left_out = 0
    for _, body in iterate_pages(
        session, f"{url}?n={PAGE_SIZE}", subject=subject, scopes=scopes, fallback=url
    ):
        try:
            entries = strict.load_object(body, subject=subject, limit=MAX_PAGE).get(key)
        except MalformedError as error:
            raise errors.create_parse_error(subject, error) from None
        if entries is None:
            continue
        if not isinstance(entries, list):
            raise RefusedRequestError(f"{subject}: {key} is not a list of names")
        total += len(entries)
        if total > MAX_ENTRIES:
            raise LimitError(f"{subject}: more than the {MAX_ENTRIES:,} entries allowed")
        for entry in entries:
            if isinstance(entry, str) and len(entry) <= _MAX_NAME:
                length += len(entry)
                if length > MAX_NAMES:
                    raise LimitError(f"{subject}: names longer than {MAX_NAMES:,} characters")
                yield entry
            else:
                left_out += 1
    if left_out:
        session.warn(f"{subject}: left out {count(left_out, 'invalid name')}")


def list_repositories(session: Session) -> list[str]:
    """Return the paths of all repositories that the registry lists; many registries list none.

    https://distribution.github.io/distribution/spec/api/#listing-repositories

    Raises:
        RegistryError: the registry refuses the request, or cannot be reached.
        LimitError: the list is too long.
    """
    subject = f"{session.address}: repositories"
    scopes = ("registry:catalog:*",)
    return list(
        list_strings(session, "/v2/_catalog", "repositories", subject=subject, scopes=scopes)
    )


def iterate_pages(
    session: Session,
    url: str,
    *,
    subject: str,
    scopes: Scopes,
    allowed_statuses: Collection[int] = (),
    fallback: str | None = None,
) -> Iterator[tuple[Response, bytes]]:
    """Yield the response and the body of each page.

    Every page is requested from the registry itself: behind a proxy, registries return links with
    the name or scheme that the proxy uses internally. No URL may occur twice. If the registry
    refuses ``url`` as a bad request, such as a page size above its own limit, the list begins at
    ``fallback``. Raises the same errors as ``list_strings``.
    """
    silence, size = Silence(), 0
    seen: set[str] = set()
    next_url: str | None = url
    while next_url is not None:
        seen.add(next_url)
        if len(seen) > MAX_PAGES:
            raise LimitError(f"{subject}: more than the {MAX_PAGES:,} pages allowed")
        try:
            response, body = session.fetch(
                next_url,
                MAX_PAGE,
                subject=subject,
                scopes=scopes,
                allowed_statuses=allowed_statuses,
                silence=silence,
            )
        except RegistryError as error:
            if error.status != HTTPStatus.BAD_REQUEST or fallback is None or len(seen) > 1:
                raise
            next_url = fallback
            continue
        size += len(body)
        if size > MAX_TOTAL:
            raise LimitError(f"{subject}: pages larger than {MAX_TOTAL:,} bytes in total")
        yield response, body
        header = response.headers.get("Link", "")
        link = _NEXT.search(header) or _BARE_NEXT.match(header)  # some omit the brackets
        next_url = get_target(join_location(response.url, link[1])) if link and link[1] else None
        if next_url in seen:
            raise RefusedRequestError(
                f"{subject}: duplicate page in the list",
                hint="check the registry and a proxy in front of it, or list the tags explicitly",
            )
        if next_url is not None and len(next_url) > _MAX_URL:
            raise LimitError(f"{subject}: the URL of the next page is too long")

"""Source of foreign layers: the URLs in their descriptors."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from bundler.config.registry_access import RegistryAccess
from bundler.errors import BundlerError, CancelledError, NotFoundError
from bundler.registry.exchange.response import BlobStream
from bundler.registry.services.url_client import UrlClient
from bundler.transports.docker.transport import DockerSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Node, OpenOptions, Source

_MAX_URLS = 8
"""Maximum number of URLs that are tried for a layer."""


@contextmanager
def open_absent_layer(
    source: DockerSource, node: Node, offset: int, options: OpenOptions, error: NotFoundError
) -> Iterator[Reader]:
    """Open a foreign layer that the registry does not have at its URLs, as Skopeo does.

    Raises:
        NotFoundError: the options are not lenient: URLs are not tried, and ``error`` is raised.
        BundlerError: no URL has the layer.
    """
    if not options.lenient:
        error.hint = (
            "it is a foreign layer: copy the image to oci: or a registry, which need only its URLs,"
            " or export it with --foreign-layers fetch"
        )
        raise error
    with (
        closing(ForeignUrlSource(source, source.repository, options)) as urls,
        urls.open(node, offset) as stream,
    ):
        yield stream


class ForeignUrlSource:
    """Source that downloads the foreign layers of the image ``label`` from their URLs.

    ``source`` is the source of its other content. The requests are sent through the proxies of the
    registry, and without its credentials.
    """

    def __init__(self, source: Source, label: str, options: OpenOptions) -> None:
        self._label = label
        if isinstance(source, DockerSource):
            access, registry = source.session.access, source.session.origin
        else:
            access = RegistryAccess("", proxies=options.load_settings().proxies)
            registry = None
        self._client = UrlClient(
            access, registry, cancellation=options.cancellation, emit=options.emit
        )

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Raise NotFoundError: layers have no names."""
        raise NotFoundError(f"{name}: not found")

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:
        """Open a foreign layer at the first of its URLs that has it.

        Raises:
            NotFoundError, RefusedRequestError, RegistryError: no URL has it. The error is that of
                the first URL, with those of the others as notes.
        """
        if node.size is not None and offset >= node.size:
            yield BytesIO()
            return
        subject = f"{self._label}: foreign layer {node.digest}"
        failures: list[BundlerError] = []
        with ExitStack() as stack:
            for url in node.urls[:_MAX_URLS]:
                try:
                    response = self._client.get(url, subject=subject, offset=offset)
                    stack.enter_context(response)
                    response.keep_encoding(node.size, offset)
                    stream = BlobStream.from_offset(response, subject, node.size, offset)
                except CancelledError:
                    raise
                except BundlerError as error:
                    failures.append(error.without_traceback())
                else:
                    yield stream
                    return
        first, *others = failures or [NotFoundError(f"{subject}: no URL")]
        for other in others:
            first.add_note(other.message)
        raise first

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

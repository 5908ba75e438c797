"""The page at ``/``: the images that are served, with a command to pull each of them.

All text is escaped, and the page contains no script and loads nothing.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from bundler.bundle.markup import create_source_hash, to_html
from bundler.bundle.serving.exchange import ServerResponse
from bundler.errors import count, format_size
from bundler.oci.reference import is_domain

if TYPE_CHECKING:
    from bundler.bundle.serving.content import ServedContent, ServedImage


def create_response(content: ServedContent, host: str, *, is_encrypted: bool) -> ServerResponse:
    """Return the page.

    Args:
        content: what is served.
        host: the server as the client addressed it, for the commands.
        is_encrypted: whether the connection uses TLS; otherwise the commands permit that.
    """
    host = host if is_domain(host) else "HOST:PORT"
    bundles = len({image.bundle for image in content.images})
    size = sum(
        {
            digest: blob.size
            for repository in content.repositories.values()
            for digest, blob in repository.blobs.items()
        }.values()
    )
    summary = (
        f"{count(len(content.images), 'image')} of {count(bundles, 'bundle')}, {format_size(size)}"
    )
    command = "podman pull" if is_encrypted else "podman pull --tls-verify=false"
    rows = "\n".join(
        _create_row(image, f"{command} {host}/{image.name}") for image in content.images
    )
    style = files("bundler.bundle.serving").joinpath("page.css").read_text("utf-8")
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Images on {to_html(host)}</title>
<style>{style}</style>
</head>
<body>
<header>
<p class="kicker">Read-only registry of airbundle. Nothing has been imported.</p>
<h1>Images on {to_html(host)}</h1>
<p>{to_html(summary)}</p>
</header>
<main class="frame">
<table role="table">
<caption>Served images, with a command to pull each of them</caption>
<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Image</th>
<th role="columnheader" scope="col">Platforms</th>
<th role="columnheader" scope="col" class="number">Size</th>
<th role="columnheader" scope="col">Pull</th></tr></thead>
<tbody role="rowgroup">
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"default-src 'none'; style-src {create_source_hash(style)};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return ServerResponse(200, headers, text.encode())


def _create_row(image: ServedImage, command: str) -> str:
    return (
        f'<tr role="row"><th role="rowheader" scope="row"><b>{to_html(str(image.name))}</b>'
        f"<small>{to_html(image.reference)}, from {to_html(image.bundle)}</small>"
        f"<small><code>{to_html(image.digest.text)}</code></small></th>"
        f'<td role="cell" class="short" data-label="Platforms">'
        f"{to_html(', '.join(image.platforms))}</td>"
        f'<td role="cell" class="number" data-label="Size">{to_html(format_size(image.size))}</td>'
        f'<td role="cell" class="pull" data-label="Pull"><code>{to_html(command)}</code></td></tr>'
    )

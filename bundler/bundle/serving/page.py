"""The page at ``/``: the images that are served, with a command to pull each of them.

All text is escaped, and the page contains no script and loads nothing.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bundler.bundle.serving.exchange import ServerResponse
from bundler.errors import count, format_size
from bundler.oci.reference import is_domain

if TYPE_CHECKING:
    from bundler.bundle.serving.content import ServedContent

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .8rem .4rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid #8888; overflow-wrap: anywhere; }
code { font-size: .9em; }
"""
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_response(content: ServedContent, host: str) -> ServerResponse:
    """Return the page. ``host`` is the server as the client addressed it, for the commands."""
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
        f"{count(len(content.images), 'image')} of {count(bundles, 'bundle')},"
        f" {format_size(size)}. This registry is read-only; nothing has been imported."
    )
    lines = []
    for image in content.images:
        command = f"podman pull {host}/{image.name}"
        lines.append(
            f"<tr><td>{escape(str(image.name))}<br><small>{escape(image.reference)},"
            f" {escape(image.bundle)}<br><code>{escape(image.digest.text)}</code></small></td>"
            f"<td>{escape(', '.join(image.platforms))}</td><td>{escape(format_size(image.size))}"
            f"</td><td><code>{escape(command)}</code></td></tr>"
        )
    rows = "\n".join(lines)
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Images on {escape(host)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Images on {escape(host)}</h1>
<p>{escape(summary)}</p>
<table>
<thead><tr><th>Image</th><th>Platforms</th><th>Size</th><th>Pull</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""
    return ServerResponse(200, _HEADERS, text.encode())

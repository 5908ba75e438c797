"""Reports of audits: one document for people, and one with the same content for machines.

Read ``record`` (the content of a report) first. ``collect`` creates it from what an audit read,
``document`` writes it as JSON, ``page`` as one HTML file: ``page_tables`` and ``treemap`` are parts
of the page, ``report.html``, ``report.css`` and ``report.js`` its template, style and script.
Everything from an image is untrusted; ``bundle.markup`` escapes it.
"""

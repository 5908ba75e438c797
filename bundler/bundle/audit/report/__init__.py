"""Reports of audits: one document for people, and one with the same content for machines.

Read ``record`` (the content of a report) first. ``collect`` creates it from what an audit read,
``document`` writes it as JSON, ``page`` as one HTML file. Parts of the page are ``page_sections``,
``page_tables`` and ``treemap``; ``report.html``, ``report.css`` and ``report.js`` are its template,
its style and its script. Everything from an image is untrusted; ``bundle.markup`` escapes it.
"""

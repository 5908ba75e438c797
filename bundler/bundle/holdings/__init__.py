"""Holdings files: what a target has, written inside, and read by an export outside.

``collect`` reads a target, ``holdings_file`` is the signed document. Start with ``holdings_file``.
"""

"""Known vulnerabilities of packages, from a database of OSV records that a site brings in.

Read ``result`` first (the values), then ``check`` (from packages and a database to the result).
``database`` reads OSV records, ``versions`` orders the versions of each ecosystem. Everything is
offline, and all input is untrusted.
"""

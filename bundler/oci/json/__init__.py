"""JSON from untrusted sources: a strict parser and typed access to members.

Read ``strict`` first, then ``table``: typed access to the members of an object. ``go_struct`` reads
an object into a struct as Go's decoder does; ``base64_strict`` and ``timestamps`` encode bytes and
times as strings.
"""

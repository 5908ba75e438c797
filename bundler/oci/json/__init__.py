"""JSON from untrusted sources: a strict parser and typed access to members.

Read ``strict`` first, then ``table``: typed access to the members of an object. ``base64_strict``
and ``timestamps`` encode bytes and times as strings.
"""

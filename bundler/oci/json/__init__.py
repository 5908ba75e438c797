"""JSON from untrusted sources: a strict parser and typed access to members.

Read ``strict`` first, then ``table``: typed reads of the members of an object. ``go_struct`` reads
an object the way Go decodes it into a struct; ``base64_strict`` and ``timestamps`` encode bytes and
times as strings.
"""

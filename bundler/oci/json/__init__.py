"""JSON from untrusted sources: a strict parser and typed access to members.

Read ``strict`` first. ``fields`` reads typed members of an object; ``go_struct`` reads an object
the way Go decodes it into a struct.
"""

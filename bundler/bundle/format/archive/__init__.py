"""A bundle in one tar archive, written member by member or by offsets. Read ``layout`` first.

``reading.archive_files`` reads it.
"""

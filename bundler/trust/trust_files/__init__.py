"""The trust file of a site, its versions, and the roles of keys in it.

Read ``trust_file`` first.
"""

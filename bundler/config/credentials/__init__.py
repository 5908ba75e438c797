"""Registry credentials: authfiles, credential helpers, and the order in which they apply.

Read ``lookup`` first.
"""

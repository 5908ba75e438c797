"""Registry credentials: authfiles, credential helpers, and the order in which they apply.

Read ``auth_file`` first.
"""

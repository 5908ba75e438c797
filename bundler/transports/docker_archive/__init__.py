"""``docker-archive:``: the archives of ``docker save`` and ``docker load``.

Read ``transport`` first; ``docker_daemon`` uses its source and the ``writer``.
"""

"""``docker-daemon:``: the images of a container engine, over the Docker Engine API.

Read ``transport`` first, then ``engine_api``.
"""

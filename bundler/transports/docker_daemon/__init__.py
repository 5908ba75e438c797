"""``docker-daemon:``: images of a container engine, over the Docker Engine API.

Read ``transport`` first.
"""

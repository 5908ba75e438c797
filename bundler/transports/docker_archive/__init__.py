"""``docker-archive:``: the tar archives of ``docker save``. Read ``transport`` first."""

"""``docker://``: images in registries, with mirrors. Read ``transport`` first."""

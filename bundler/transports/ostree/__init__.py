"""``ostree:``, which is not supported."""

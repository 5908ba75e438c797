"""``ostree:``, which is refused."""

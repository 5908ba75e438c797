"""``ostree:``: parsed and refused."""

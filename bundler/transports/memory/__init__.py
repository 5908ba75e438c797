"""``memory:``: images in memory, for tests and as the shortest complete transport."""

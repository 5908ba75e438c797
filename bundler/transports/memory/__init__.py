"""``memory:``: images in memory; for tests and as the smallest complete transport."""

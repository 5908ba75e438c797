"""``atomic:``: image streams of OpenShift, by its image API and its registry."""

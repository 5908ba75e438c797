"""``atomic:``: the image API of OpenShift, which is parsed and refused."""

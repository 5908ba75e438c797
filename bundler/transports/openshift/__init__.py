"""``atomic:``: the image API of OpenShift; parsed and refused."""

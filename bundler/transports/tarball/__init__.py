"""``tarball:``: tar files as the layers of an image, for reading only."""

"""``tarball:``: plain tar files as the layers of an image, read only."""

"""Read what rules need: of bundles, images, layers and databases. Read ``read_images`` first."""

"""Commands that look into bundles and images, one file each."""

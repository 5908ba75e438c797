"""Options that name the signers of bundles and images, and those that are trusted."""

"""Claims: SBOMs and attestations that came with an image, compared with what was found in it."""

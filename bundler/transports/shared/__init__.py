"""Code that several transports share: pipes, archive files, images made on the fly, hints."""

"""SBOMs of images in the formats CycloneDX and SPDX, as JSON documents."""

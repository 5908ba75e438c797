"""Carry container images, and what belongs to them, across an air gap."""

__version__ = "0.1.0"

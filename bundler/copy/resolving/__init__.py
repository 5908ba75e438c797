"""Resolve a request: read and verify the manifests of one image, and find its referrers.

``graph_builder`` reads the graph below one root, ``platform_selection`` leaves out platforms, and
``fetch`` reads and verifies one manifest or config. Imports ``image``, ``ports`` and below. Read
``resolve`` first.
"""

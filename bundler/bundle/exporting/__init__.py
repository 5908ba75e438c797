"""Export images into a bundle: in a directory, in an archive, or on several volumes.

``resolving`` reads the images at their sources, ``renewing`` is about the bundle that the export
replaces, ``sealing`` writes the small files that make the content a bundle. ``relay`` exports the
images of a bundle, ``estimate`` exports nothing. Imports ``format``, ``media``, ``recovery`` and
``verifying`` of ``bundle``, and the layers below. Read ``export`` first, then
``resolving.resolve`` and ``sealing.seal``.
"""

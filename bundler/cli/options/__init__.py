"""Groups of command-line options, each parsed into a frozen value. Read ``option`` first.

``images`` are those of commands on images, ``signing`` and ``auditing`` those of bundles. Imports
``runtime`` and ``output`` of ``cli``, and the layers below.
"""

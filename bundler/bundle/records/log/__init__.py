"""The log of a site, and the line of an import that is not finished.

Imports ``permissions`` and the layers below ``bundle``. Read ``log`` first.
"""

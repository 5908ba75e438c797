"""The files of a bundle for readers, wherever they are stored; read ``files`` first.

Writers use an open ``Directory`` and ``bundle_files`` instead.
"""

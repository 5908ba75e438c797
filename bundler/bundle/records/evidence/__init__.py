"""Evidence of imports and audits: what was known about a bundle, after its medium is gone.

An entry of the log names one document by its digest, and the document names its objects: the
inventory, its signatures, the packages of images, claims, and the verdict of rules. Read first
``objects`` (the files), ``draft`` (how a document is written) and ``search`` (how it is read).
"""

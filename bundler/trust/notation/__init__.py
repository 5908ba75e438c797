"""Notation signatures: those of the Notary Project, as the program notation makes them.

Read ``envelope`` first (the content of a signature), then ``jws`` and ``cose``, its two forms.
``trust_policy``, ``trust_store`` and ``identity`` read what a site trusts; ``verify`` decides, with
``algorithms``, ``chain`` and ``timestamps``.

https://github.com/notaryproject/specifications
"""

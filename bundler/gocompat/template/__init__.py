"""The subset of Go's text/template that the option ``--format`` supports.

``lex`` splits the text into tokens, ``parse`` builds the tree, ``execute`` renders it;
``functions`` and ``printf`` are the built-in functions. Read ``execute`` first.
"""

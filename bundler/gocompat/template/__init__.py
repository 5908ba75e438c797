"""Go's text/template, as far as the option ``--format`` needs it.

``lex`` splits the text into tokens, ``parse`` builds the tree, ``execute`` renders it;
``functions`` and ``printf`` are the built-in functions. Read ``execute`` first.
"""

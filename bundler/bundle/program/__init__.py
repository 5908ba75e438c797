"""The program that a medium carries: everything that an isolated machine needs to import a bundle.

    airbundle                            starts the one for this machine, or a Python that it has
    airbundle.pyz                        the program for any Python from 3.11 on
    linux-x86_64/, linux-aarch64/
        airbundle, python3               the launcher: starts Python with the libraries beside it
        interpreter, python3._pth        Python
        python3.zip                      its standard library
        ld.so, lib*.so.*                 the dynamic loader, the C library, and all other libraries
        ext-<module>.<tag>.so            extension modules for this Python
        extensions.zip                   extension modules for other versions of Python
        licenses.zip                     the licenses of what was taken from the distribution

Read ``carried_program`` first. The files have portable names and at most one directory above them,
so that any medium stores them, and few of them, so that they are written and verified fast.
"""

"""One file per command, in the sections of ``airbundle --help``."""

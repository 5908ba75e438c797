"""Import a bundle into a registry or a directory. Read ``import_bundle`` first, then ``target``."""

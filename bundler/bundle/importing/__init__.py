"""Import a bundle into a registry or local storage. Read ``import_bundle`` first."""

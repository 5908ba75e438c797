"""Commands on registry credentials and signing keys: login, logout, keygen."""

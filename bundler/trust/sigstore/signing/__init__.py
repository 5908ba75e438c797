"""Create sigstore signatures. Read ``signer`` first."""

"""Encryption of streams with age, by the optional library pyrage."""

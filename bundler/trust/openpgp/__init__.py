"""OpenPGP: verification and creation of the messages of simple signatures.

Read ``keyring`` first. ``gpg`` runs the program gpg and ``gpg_status`` evaluates its output;
``sequoia`` replaces it where it is not installed. ``sign`` signs with gpg or sq.
"""

"""Write a bundle to a directory: its content, its instructions, and its seal.

``store`` is the destination that the engine writes to; in format ``oci``, ``unsealed_layout`` keeps
the content without names until ``next_seal`` replaces the small files. ``directory_holdings`` is
the content that is there already. Imports ``files`` and ``inventory``. Read ``store`` first.
"""

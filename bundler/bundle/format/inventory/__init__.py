"""The inventory ``bundle.json``, which is signed, and the parts that it states or omits.

``parse_inventory`` parses it strictly; ``read_inventory`` reads it without its signatures, which
``authenticate`` verifies. The other modules are about content that a bundle lacks and about sizes.
Imports ``files``, ``reading`` and ``signatures``. Read ``inventory`` first.
"""

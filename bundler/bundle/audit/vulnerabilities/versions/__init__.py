"""The orders of versions, one module for each kind; ``orders`` has the table of ecosystems."""

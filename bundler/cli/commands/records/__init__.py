"""Commands for the records of a site: its streams and its receipts."""

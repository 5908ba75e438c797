"""Commands for the records of a site: its streams, its log and its receipts."""
